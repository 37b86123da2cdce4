"""The registry's HTTP side: lists in pages, manifests, blobs, pushes, faults, and the log."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from secrets import token_hex

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox.oci_registry.content import Content, digest
from sandbox.oci_registry.doors import Door, Tokens
from sandbox.oci_registry.faults import Fault

_NAME = "/v2/{name:.+}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    """With the query."""
    scheme: str
    """`basic`, `bearer`, or empty where nothing was shown."""


@dataclass(slots=True)
class _Planned:
    fault: Fault
    where: str
    after: int
    times: float


@dataclass(slots=True, kw_only=True)
class OciRegistry:
    """A registry on loopback; what is public may be changed while it runs."""

    host: str
    page: int = 1_000
    """A page holds at most so many tags, whatever a client asks for."""
    content: Content = field(default_factory=Content)
    door: Door | None = None
    asked: list[Asked] = field(default_factory=list)
    how: str = "our own registry"
    _planned: list[_Planned] = field(default_factory=list)
    _runner: web.AppRunner | None = None

    async def stop(self) -> None:
        """End it; what was pushed stays."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def start(self) -> None:
        """Start it: on the port that it had, else on a free one of loopback."""
        server = _Server(self)
        app = web.Application(middlewares=[server.note, server.guard], client_max_size=0)
        app.add_routes(server.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", int(self.host.rpartition(":")[2] or 0)).start()
        address, port = self._runner.addresses[0][:2]
        self.host = f"{address}:{port}"

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{self.host}"

    def count(self, part: str = "") -> int:
        """Return how many requests had *part* in their path."""
        return sum(part in one.path for one in self.asked)

    def fail(
        self, fault: Fault, *, where: str = "", after: int = 0, times: float = float("inf")
    ) -> None:
        """Play *fault* for requests with *where* in their path: not for *after*, then *times*."""
        self._planned.append(_Planned(fault, where, after, times))

    def reset(self) -> None:
        """Play no faults any more, and forget what was asked."""
        self._planned.clear()
        self.asked.clear()

    def due(self, path: str) -> Fault | None:
        """Return the fault for a request of *path*, and count it."""
        for one in self._planned:
            if one.where not in path or one.times <= 0:
                continue
            if one.after > 0:
                one.after -= 1
                continue
            one.times -= 1
            return one.fault
        return None


@asynccontextmanager
async def oci_registry(*, door: Door | None = None) -> AsyncIterator[OciRegistry]:
    """Run a registry on a free port of loopback for the length of the block."""
    registry = OciRegistry(host="", door=door)
    try:
        await registry.start()
        yield registry
    finally:
        await registry.stop()


class _Server:
    """Answers requests from what a registry holds."""

    def __init__(self, registry: OciRegistry) -> None:
        self._registry = registry
        self._content = registry.content

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v2/", self._ping),
            web.get("/token", self._token),
            web.get(f"{_NAME}/tags/list", self._tags),
            web.get(f"{_NAME}/manifests/{{reference}}", self._manifest),  # and HEAD
            web.put(f"{_NAME}/manifests/{{reference}}", self._put_manifest),
            web.post(f"{_NAME}/blobs/uploads/", self._begin_upload),
            web.put(f"{_NAME}/blobs/uploads/{{id}}", self._end_upload),
            web.get(f"{_NAME}/blobs/{{digest}}", self._blob),
        ]

    @web.middleware
    async def note(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        scheme = request.headers.get("Authorization", "").partition(" ")[0].lower()
        self._registry.asked.append(
            Asked(method=request.method, path=request.path_qs, scheme=scheme)
        )
        fault = self._registry.due(request.path_qs)
        return await (fault(request, handler) if fault else handler(request))

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        door = self._registry.door
        if door is not None and request.path != "/token" and (refusal := door.refusal(request)):
            return refusal
        return await handler(request)

    async def _ping(self, _: web.Request) -> web.Response:
        return web.json_response({})

    async def _token(self, request: web.Request) -> web.Response:
        door = self._registry.door
        return await door.issue(request) if isinstance(door, Tokens) else _missing("token service")

    async def _tags(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        tags = self._content.tags(name)
        if tags is None:
            return _missing(name)
        size = min(int(request.query.get("n", self._registry.page)), self._registry.page)
        left = [tag for tag in tags if tag > request.query.get("last", "")]
        headers = {}
        if len(left) > size:
            headers["Link"] = f'</v2/{name}/tags/list?last={left[size - 1]}&n={size}>; rel="next"'
        return web.json_response({"name": name, "tags": left[:size]}, headers=headers)

    async def _manifest(self, request: web.Request) -> web.Response:
        name, reference = request.match_info["name"], request.match_info["reference"]
        found = self._content.documents.get((name, reference))
        # As the real one: of another kind than was asked for, it is not there.
        if found is None or found.media_type not in request.headers.get("Accept", ""):
            return _missing(f"{name}:{reference}")
        headers = {"Docker-Content-Digest": found.digest}
        return web.Response(body=found.body, content_type=found.media_type, headers=headers)

    async def _put_manifest(self, request: web.Request) -> web.Response:
        name, reference = request.match_info["name"], request.match_info["reference"]
        body = await request.read()
        kind = request.content_type
        tags = [] if reference.startswith("sha256:") else [reference]
        put = self._content.put(name, *tags, document=body, media_type=kind)
        return web.Response(status=201, headers={"Docker-Content-Digest": put})

    async def _begin_upload(self, request: web.Request) -> web.Response:
        place = f"{self._registry.url}{request.path}{token_hex(8)}"
        return web.Response(status=202, headers={"Location": place})

    async def _end_upload(self, request: web.Request) -> web.Response:
        data = await request.read()
        if digest(data) != request.query.get("digest"):
            return _refused(400, "DIGEST_INVALID", "the digest is not that of the data")
        self._content.blobs[digest(data)] = data
        return web.Response(status=201, headers={"Docker-Content-Digest": digest(data)})

    async def _blob(self, request: web.Request) -> web.Response:
        found = self._content.blobs.get(request.match_info["digest"])
        if found is None:
            return _missing(request.match_info["digest"])
        return web.Response(body=found, content_type="application/octet-stream")


def _missing(what: str) -> web.Response:
    return _refused(404, "NAME_UNKNOWN", f"{what} is not known to the registry")


def _refused(status: int, code: str, message: str) -> web.Response:
    body = json.dumps({"errors": [{"code": code, "message": message}]})
    return web.Response(status=status, text=body, content_type="application/json")
