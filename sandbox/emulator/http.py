"""The API over HTTP: who asks, for what, and in which form the answer goes back."""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import yaml
from aiohttp import web

from sandbox.emulator import discovery, listing, scale, views
from sandbox.emulator.answers import ApiError, bad_request
from sandbox.emulator.bodies import APPLY, Options, Target
from sandbox.emulator.deleting import Deleter
from sandbox.emulator.kinds import Kinds
from sandbox.emulator.selectors import selection
from sandbox.emulator.store import Object, Store
from sandbox.emulator.watches import Wish, follow
from sandbox.emulator.writing import Writer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_logger = logging.getLogger(__name__)
_OPEN = {"/version", "/readyz", "/livez", "/healthz"}  # for these nobody must log in
_LONG = 1800.0  # seconds; how long a watch lives that names no end


class Api:
    """Answers requests from the store, through the rules."""

    def __init__(
        self, store: Store, kinds: Kinds, writer: Writer, deleter: Deleter, token: str
    ) -> None:
        self._store = store
        self._kinds = kinds
        self._writer = writer
        self._deleter = deleter
        self._token = token
        self._requests: list[dict[str, str]] = []

    def app(self) -> web.Application:
        """Return the web application."""
        app = web.Application(middlewares=[self._outer], client_max_size=16 * 1024**2)
        app.router.add_get("/emulator/requests", self._log)
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    @web.middleware
    async def _outer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self._admit(request)
            return await handler(request)
        except ApiError as error:
            return web.json_response(error.status, status=error.code)
        except Exception as error:
            _logger.exception("a mistake of the emulator's own")
            failed = ApiError(500, "InternalError", f"Internal error occurred: {error!r}")
            return web.json_response(failed.status, status=failed.code)

    def _admit(self, request: web.Request) -> None:
        if request.path == "/emulator/requests":
            return
        self._requests.append({"method": request.method, "path": request.path_qs})
        said = request.headers.get("Authorization")
        if request.path in _OPEN or said == f"Bearer {self._token}":
            return
        # kubectl keeps every credential to itself where there is no TLS.
        if said is None and request.headers.get("User-Agent", "").startswith("kubectl"):
            return
        raise ApiError(401, "Unauthorized", "Unauthorized")

    async def _log(self, _: web.Request) -> web.Response:
        return web.json_response(self._requests)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if (fixed := self._told(request)) is not None:
            return fixed
        target = self._target(request.path)
        if target is None:
            return web.Response(status=404, text="404 page not found\n")
        if target.name or request.method != "GET":
            return await self._one(request, target)
        if request.query.get("watch", "").lower() in ("1", "true"):
            return await self._watch(request, target)
        return self._list(request, target)

    def _told(self, request: web.Request) -> web.Response | None:
        """Answer what is asked about the server itself."""
        if request.path == "/version":
            return web.json_response(self._kinds.version)
        if request.path in _OPEN:
            return web.Response(text="ok")
        accept = request.headers.get("Accept", "")
        aggregated = "as=APIGroupDiscoveryList" in accept and "v=v2" in accept
        found = discovery.answer(self._kinds, request.path, aggregated=aggregated)
        return None if found is None else _discovered(request, found, aggregated=aggregated)

    def _list(self, request: web.Request, target: Target) -> web.Response:
        objects, metadata = listing.page(self._store, target, request.query)
        form = views.form_of(request.headers.get("Accept", ""))
        return web.json_response(views.many(objects, target.resource, form, metadata))

    async def _one(self, request: web.Request, target: Target) -> web.Response:
        code, obj = 200, await self._done(request, target)
        is_new = obj["metadata"].get("uid") and request.method in ("POST", "PATCH")
        if is_new and request[_KNEW] is None:
            code = 201
        form = views.form_of(request.headers.get("Accept", ""))
        return web.json_response(views.one(obj, target.resource, form), status=code)

    async def _done(self, request: web.Request, target: Target) -> Object:
        body = await _body(request)
        options = _options(request)
        request[_KNEW] = self._store.get(target.resource, target.namespace, target.name)
        match request.method, bool(target.name):
            case "GET", True:
                found = self._writer.read(target)
                return scale.of(found) if target.subresource == "scale" else found
            case "POST", False:
                return self._writer.create(target, body, options)
            case "PUT", True:
                return self._writer.replace(target, body, options)
            case "PATCH", True:
                return self._writer.patch(target, body, request.content_type, options)
            case "DELETE", True if not target.subresource:
                policy = request.query.get("propagationPolicy")
                wish = {"propagationPolicy": policy} | (body or {})
                return self._deleter.delete(target, wish, dry_run=_is_dry(request, wish))
        raise ApiError(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )

    async def _watch(self, request: web.Request, target: Target) -> web.StreamResponse:
        query = request.query
        wish = Wish(
            resource=target.resource,
            namespace=target.namespace,
            selected=selection(query.get("labelSelector", ""), query.get("fieldSelector", "")),
            version=_version(query.get("resourceVersion", "")),
            initial=query.get("sendInitialEvents") == "true",
            bookmarks=query.get("allowWatchBookmarks", "").lower() in ("1", "true"),
            timeout=float(query.get("timeoutSeconds", 0)) or _LONG,
        )
        form = views.form_of(request.headers.get("Accept", ""))
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        async for kind, obj in follow(self._store, wish):
            shown = views.one(obj, target.resource, form)
            await response.write(json.dumps({"type": kind, "object": shown}).encode() + b"\n")
        return response

    def _target(self, path: str) -> Target | None:
        """Read a path: ``/apis/GROUP/VERSION[/namespaces/NAME]/PLURAL[/NAME[/SUBRESOURCE]]``."""
        match path.strip("/").split("/"):
            case ["api", version, *rest]:
                group_version = version
            case ["apis", group, version, *rest]:
                group_version = f"{group}/{version}"
            case _:
                return None
        namespace = ""
        if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        plural, name, subresource = (*rest, "", "", "")[:3]
        resource = self._kinds.find(group_version, plural)
        if resource is None or len(rest) > 3 or bool(namespace) > resource.namespaced:
            return None
        served = {"", *(sub["name"] for sub in resource.subresources)}
        if subresource not in served or (name and resource.namespaced and not namespace):
            return None
        return Target(resource=resource, namespace=namespace, name=name, subresource=subresource)


_KNEW = web.RequestKey("knew", object)


async def _body(request: web.Request) -> Any:
    text = await request.read()
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        pass
    if request.content_type not in (APPLY, "application/yaml"):
        raise ApiError(
            415,
            "UnsupportedMediaType",
            f"the emulator reads JSON, not {request.content_type}: use `kubectl apply -f`",
        )
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise bad_request(f"error decoding YAML: {error}") from error


def _options(request: web.Request) -> Options:
    query = request.query
    agent = request.headers.get("User-Agent", "unknown").partition("/")[0]
    is_apply = request.content_type == APPLY
    return Options(
        manager=query.get("fieldManager") or ("" if is_apply else agent),
        force=query.get("force", "").lower() in ("1", "true"),
        dry_run=_is_dry(request, {}),
        strict=query.get("fieldValidation") == "Strict",
    )


def _is_dry(request: web.Request, wish: Mapping[str, Any]) -> bool:
    said = [*request.query.getall("dryRun", ()), *(wish.get("dryRun") or ())]
    if any(value != "All" for value in said):
        raise bad_request(f"dryRun: {said} is not supported, only All is")
    return bool(said)


def _version(text: str) -> int:
    if text and not text.isdecimal():
        raise bad_request(f"resourceVersion: {text!r} is no number")
    return int(text or 0)


def _discovered(
    request: web.Request, found: Mapping[str, Any], *, aggregated: bool
) -> web.Response:
    body = json.dumps(found)
    # kubectl forgets a kept document when its tag changes.
    tag = f'"{hash(body):X}"'
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers={"ETag": tag})
    content_type = "application/json"
    if aggregated and found["kind"] == "APIGroupDiscoveryList":
        content_type += ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    headers = {"ETag": tag, "Content-Type": content_type}
    return web.Response(body=body, headers=headers)
