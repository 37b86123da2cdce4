"""
The routes: Flux v1's under `/api/flux` (and at the root), ours under `/api/v1`.

Flux v1's clients send no Content-Type and read nothing but 200, 201, 202 and 204 as success;
whatever is unknown, a wrong method too, is a 404 in the JSON form.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from aiohttp import web

from services.gateway import answers, auth, requests, stream
from services.gateway.control import Control
from services.gateway.dead_letters import DeadLetters
from services.gateway.domain.errors import ApiError, bad_request, unavailable, unprocessable
from services.gateway.domain.images import check_fields
from services.gateway.domain.notices import read_notify
from services.gateway.domain.services import names, service
from services.gateway.domain.specs import legacy_policies, legacy_release, read_request
from services.gateway.domain.status import NO_KEY, git_repo_config, syncs
from services.gateway.domain.view import View
from services.gateway.follow import Follower
from services.gateway.handlers import Handlers
from services.gateway.registry_tags import RegistryTags
from services.gateway.settings import Settings
from shared.runtime.errors import PermanentError

logger = structlog.get_logger(__name__)

VERSION = "1.25.4"
"""The version of Flux v1 whose API this is."""
CATCH_UP = 15.0
"""Seconds that a request waits for the gateway to have read the log."""
LET_GO = 3.0
"""Seconds for requests under way to end when the gateway stops."""


class Api:
    """Answers requests from the view, and acts by the handlers."""

    def __init__(
        self,
        settings: Settings,
        view: View,
        *,
        handlers: Handlers,
        tags: RegistryTags,
        follower: Follower,
        listeners: stream.Listeners,
        dead: DeadLetters,
        control: Control,
        catch_up: float = CATCH_UP,
    ) -> None:
        self._settings = settings
        self._view = view
        self._handlers = handlers
        self._registry_tags = tags
        self._follower = follower
        self._listeners = listeners
        self._dead = dead
        self._control = control
        self._catch_up = catch_up

    def application(self) -> web.Application:
        """Return the web application with all routes."""
        app = web.Application(
            middlewares=[answers.errors, self._authentication, self._caught_up],
            client_max_size=requests.LARGEST_BODY,
        )
        for prefix in ("/api/flux", ""):
            app.add_routes(self._v1(prefix))
        app.add_routes(
            [
                web.get("/api/v1/syncs", self._syncs, allow_head=False),
                web.get("/api/v1/events", self._events, allow_head=False),
                *self._dead.routes(),
                *self._control.routes(),
            ]
        )
        app.on_response_prepare.append(self._dead.hint)
        app.on_shutdown.append(self._let_go)
        return app

    def _v1(self, prefix: str) -> list[web.RouteDef]:
        gets = {
            "v6/services": self._services,
            "v11/services": self._services,
            "v6/images": self._images,
            "v10/images": self._images,
            "v6/jobs": self._job,
            "v6/sync": self._sync,
            "v6/identity.pub": self._public_key,
            "v11/ping": self._ping,
            "v11/version": self._version,
        }
        posts = {
            "v9/update-manifests": self._update,
            "v9/git-repo-config": self._git_repo_config,
            "v11/notify": self._notify,
            "v6/update-images": self._update_images,
            "v6/identity.pub": self._new_key,
        }
        return [
            # Only `export` answers HEAD; elsewhere it is a method like any other that is unknown.
            *(web.get(f"{prefix}/{name}", one, allow_head=False) for name, one in gets.items()),
            *(web.post(f"{prefix}/{name}", one) for name, one in posts.items()),
            web.patch(f"{prefix}/v6/policies", self._policies),
            web.get(f"{prefix}/v6/export", self._export),
            web.route("*", f"{prefix}/{{old:v[1-5]}}/{{rest:.*}}", self._deprecated),
        ]

    async def _services(self, request: web.Request) -> web.Response:
        wanted = requests.workloads(request, "services")
        found = names(self._view, requests.namespace(request, wanted), wanted)
        readonly = self._settings.readonly
        return await answers.array(service(self._view, name, readonly) for name in found)

    async def _images(self, request: web.Request) -> web.Response:
        wanted = requests.workloads(request, "service")
        namespace = requests.namespace(request, wanted)
        fields = [name for name in request.query.get("containerFields", "").split(",") if name]
        check_fields(fields)
        found = await self._registry_tags.images(wanted, namespace, fields)
        return await answers.array(found)

    async def _update(self, request: web.Request) -> web.Response:
        order = read_request(await requests.body(request))
        return web.json_response(await self._handlers.update(order))

    async def _update_images(self, request: web.Request) -> web.Response:
        image, kind = (requests.required(request, name) for name in ("image", "kind"))
        requests.required(request, "service")
        order = legacy_release(
            request.query.getall("service"),
            image,
            kind,
            request.query.getall("exclude", []),
            requests.cause(request),
        )
        return web.json_response(await self._handlers.update(order))

    async def _policies(self, request: web.Request) -> web.Response:
        order = legacy_policies(await requests.body(request), requests.cause(request))
        return web.json_response(await self._handlers.update(order))

    async def _job(self, request: web.Request) -> web.Response:
        return web.json_response(self._handlers.job(requests.required(request, "id")))

    async def _sync(self, request: web.Request) -> web.Response:
        return web.json_response(self._handlers.pending(requests.required(request, "ref")))

    async def _git_repo_config(self, request: web.Request) -> web.Response:
        again = await requests.body(request)
        if not isinstance(again, bool):
            raise bad_request("the body must be true or false")
        if again:
            await self._new_key(request)
        return web.json_response(git_repo_config(self._settings.repositories, self._view))

    async def _public_key(self, _: web.Request) -> web.Response:
        return web.json_response(NO_KEY)

    async def _new_key(self, _: web.Request) -> web.Response:
        raise unprocessable(
            "the gateway holds no SSH key and can't make a new one: put it where"
            " git.auth.private_key of flux.yaml says, and its public half to your git host"
        )

    async def _notify(self, request: web.Request) -> web.Response:
        await self._handlers.notify(read_notify(await requests.body(request)))
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
        return await stream.send(request, self._listeners, request.query.getall("type", []))

    async def _let_go(self, _: web.Application) -> None:
        self._listeners.close()

    @web.middleware
    async def _authentication(
        self, request: web.Request, handler: answers.Handler
    ) -> web.StreamResponse:
        token = self._settings.token
        if token and not auth.is_allowed(request.headers.get("Authorization", ""), token.read()):
            raise ApiError(
                401,
                "user",
                "the request failed authentication",
                "Give the gateway's token, by --token or FLUX_SERVICE_TOKEN.",
            )
        if auth.is_foreign(request.method, request.headers):
            raise ApiError(403, "user", "a page of another site may not give orders")
        return await handler(request)

    @web.middleware
    async def _caught_up(
        self, request: web.Request, handler: answers.Handler
    ) -> web.StreamResponse:
        """Answer nothing from half of the past: it would look like workloads that are gone."""
        if not await self._follower.wait_caught_up(self._catch_up):
            raise unavailable(
                f"the gateway has not read its past yet: {self._follower.problem()};"
                " try again, or look at its /readyz"
            )
        return await handler(request)


@asynccontextmanager
async def serving(api: Api, host: str, port: int) -> AsyncIterator[str]:
    """
    Serve *api* for the length of the block; yield the address.

    Raises:
        PermanentError: the address can't be listened on.
    """
    runner = web.AppRunner(api.application(), access_log=None, shutdown_timeout=LET_GO)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise PermanentError(
                f"the gateway can't listen on {host}:{port}: {error.strerror};"
                " choose another address by gateway.listen in flux.yaml"
            ) from error
        bound = runner.addresses[0]
        name = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        address = f"http://{name}:{bound[1]}/api/flux"
        logger.info("serving", url=address)
        yield address
    finally:
        await runner.cleanup()
