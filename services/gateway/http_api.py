"""
The routes: Flux v1's under `/api/flux` (and at the root), ours under `/api/v1`.

Flux v1's clients send no Content-Type and read nothing but 200, 201, 202 and 204 as success;
whatever is unknown, a wrong method too, is a 404 in the JSON form.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import structlog
from aiohttp import web

from services.gateway import auth
from services.gateway.domain.errors import ApiError, bad_request, missing, unprocessable
from services.gateway.domain.images import check_fields
from services.gateway.domain.services import services
from services.gateway.domain.specs import ALL, read_notify, read_request
from services.gateway.domain.status import git_repo_config, syncs
from services.gateway.domain.view import View
from services.gateway.handlers import Handlers
from services.gateway.settings import Settings
from shared.bus.names import LOG
from shared.bus.port import Bus
from shared.contract.codec import encode
from shared.manifests import WorkloadId

logger = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LARGEST_BODY = 1_000_000
VERSION = "1.25.4"
"""The version of Flux v1 whose API this is."""


class Api:
    """Answers requests from the view, and acts by the handlers."""

    def __init__(self, settings: Settings, view: View, handlers: Handlers, bus: Bus) -> None:
        self._settings = settings
        self._view = view
        self._handlers = handlers
        self._bus = bus

    def application(self) -> web.Application:
        """Return the web application with all routes."""
        app = web.Application(
            middlewares=[self._errors, self._authentication], client_max_size=LARGEST_BODY
        )
        for prefix in ("/api/flux", ""):
            app.add_routes(self._v1(prefix))
        app.add_routes(
            [web.get("/api/v1/syncs", self._syncs), web.get("/api/v1/events", self._events)]
        )
        return app

    def _v1(self, prefix: str) -> list[web.RouteDef]:
        return [
            web.get(f"{prefix}/v6/services", self._services),
            web.get(f"{prefix}/v11/services", self._services),
            web.get(f"{prefix}/v6/images", self._images),
            web.get(f"{prefix}/v10/images", self._images),
            web.post(f"{prefix}/v9/update-manifests", self._update),
            web.get(f"{prefix}/v6/jobs", self._job),
            web.get(f"{prefix}/v6/sync", self._sync),
            web.post(f"{prefix}/v9/git-repo-config", self._git_repo_config),
            web.post(f"{prefix}/v11/notify", self._notify),
            web.get(f"{prefix}/v11/ping", self._ping),
            web.get(f"{prefix}/v11/version", self._version),
            web.get(f"{prefix}/v6/export", self._export),
            web.route("*", f"{prefix}/{{old:v[1-5]}}/{{rest:.*}}", self._deprecated),
        ]

    async def _services(self, request: web.Request) -> web.Response:
        namespace, wanted = request.query.get("namespace", ""), _ids(request, "services")
        _only_one(namespace, wanted)
        readonly = self._settings.readonly
        return web.json_response(services(self._view, readonly, namespace=namespace, wanted=wanted))

    async def _images(self, request: web.Request) -> web.Response:
        namespace, wanted = request.query.get("namespace", ""), _ids(request, "service")
        _only_one(namespace, wanted)
        fields = [name for name in request.query.get("containerFields", "").split(",") if name]
        check_fields(fields)
        return web.json_response(await self._handlers.images(wanted, namespace, fields))

    async def _update(self, request: web.Request) -> web.Response:
        return web.json_response(await self._handlers.update(read_request(await _body(request))))

    async def _job(self, request: web.Request) -> web.Response:
        identity = _required(request, "id")
        job = self._view.jobs.get(identity)
        if job is None:
            raise missing(f'unknown job "{identity}"', "Jobs are kept until the gateway restarts.")
        return web.json_response(job.json())

    async def _sync(self, request: web.Request) -> web.Response:
        return web.json_response(self._handlers.pending(_required(request, "ref")))

    async def _git_repo_config(self, request: web.Request) -> web.Response:
        if not isinstance(await _body(request), bool):
            raise bad_request("the body must be true or false")
        return web.json_response(git_repo_config(self._settings.repositories, self._view))

    async def _notify(self, request: web.Request) -> web.Response:
        await self._handlers.notify(read_notify(await _body(request)))
        return web.Response(status=202)

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response(status=204)

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response(VERSION)

    async def _export(self, _: web.Request) -> web.Response:
        raise unprocessable(
            "`fluxctl save` is not served: the gateway holds no cluster credentials;"
            " use kubectl get -o yaml"
        )

    async def _deprecated(self, _: web.Request) -> web.Response:
        raise ApiError(410, "missing", "API endpoint deprecated", "Please use a newer fluxctl.")

    async def _syncs(self, _: web.Request) -> web.Response:
        return web.json_response(syncs(self._settings.repositories, self._view))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Send the log from now on, as server-sent events."""
        wanted = set(request.query.getall("type", []))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        async with aclosing(self._bus.events(LOG, "next")) as events:
            async for offset, envelope in events:
                if wanted and envelope.type not in wanted:
                    continue
                headers, body = encode(envelope)
                data = {
                    **{key.removeprefix("cloudEvents:"): value for key, value in headers.items()},
                    "data": json.loads(body),
                }
                text = f"id: {offset}\nevent: {envelope.type}\ndata: {json.dumps(data)}\n\n"
                await response.write(text.encode())
        return response

    @web.middleware
    async def _authentication(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        token = self._settings.token
        if token and not auth.is_allowed(request.headers.get("Authorization", ""), token.read()):
            raise ApiError(401, "user", "the request failed authentication")
        return await handler(request)

    @web.middleware
    async def _errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiError as failed:
            return _answer(failed)
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
            path = request.path.removeprefix("/api/flux")
            help_ = f"Nothing is served at {request.method} {path}; is fluxctl of another version?"
            return _answer(missing("API endpoint not found", help_))
        except web.HTTPRequestEntityTooLarge:
            sentence = f"the body is larger than {LARGEST_BODY} bytes"
            return _answer(ApiError(413, "user", sentence))


def _answer(error: ApiError) -> web.Response:
    return web.json_response(error.json(), status=error.status)


async def _body(request: web.Request) -> Any:
    """Return the decoded body; its Content-Type does not matter."""
    try:
        return json.loads(await request.read() or b"null")
    except (ValueError, RecursionError) as error:
        raise bad_request(f"the body is no JSON: {error}") from error


def _required(request: web.Request, name: str) -> str:
    if name not in request.query:
        raise missing("API endpoint not found", f"The parameter {name} is missing.")
    return request.query[name]


def _ids(request: web.Request, name: str) -> list[str]:
    found = [one for one in request.query.get(name, "").split(",") if one and one != ALL]
    try:
        return [str(WorkloadId.parse(one)) for one in found]
    except ValueError as error:
        raise bad_request(f"{name}: {error}") from error


def _only_one(namespace: str, wanted: list[str]) -> None:
    if namespace and wanted:
        raise unprocessable("cannot filter by 'namespace' and 'workloads' at the same time")


@asynccontextmanager
async def serving(api: Api, host: str, port: int) -> AsyncIterator[str]:
    """Serve *api* for the length of the block; yield the address."""
    runner = web.AppRunner(api.application(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0]
        address = f"http://{bound[0]}:{bound[1]}/api/flux"
        logger.info("serving", url=address)
        yield address
    finally:
        await runner.cleanup()
