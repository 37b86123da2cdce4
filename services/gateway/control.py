"""
One sync, by hand: `POST /api/v1/syncs/<name>/suspend` and `.../resume`, `GET .../diff`.

An order answers with the id of its job, as those of Flux v1's routes do.
"""

from aiohttp import web

from services.gateway import requests
from services.gateway.asking import Asking
from services.gateway.domain.errors import missing, unprocessable
from services.gateway.domain.view import View
from services.gateway.handlers import Handlers
from shared.contract import DiffMade, DiffQuestion, OrderGiven, SuspendRequested

PATIENCE = 55.0
"""Seconds for a comparison: the API server is asked about each object that differs."""


class Control:
    """The routes."""

    def __init__(self, view: View, handlers: Handlers, asking: Asking) -> None:
        self._view = view
        self._handlers = handlers
        self._asking = asking

    def routes(self) -> list[web.RouteDef]:
        """Return them."""
        return [
            web.post("/api/v1/syncs/{name}/suspend", self._suspend),
            web.post("/api/v1/syncs/{name}/resume", self._resume),
            web.get("/api/v1/syncs/{name}/diff", self._diff, allow_head=False),
        ]

    async def _suspend(self, request: web.Request) -> web.Response:
        return await self._order(request, suspended=True)

    async def _resume(self, request: web.Request) -> web.Response:
        return await self._order(request, suspended=False)

    async def _order(self, request: web.Request, *, suspended: bool) -> web.Response:
        sync, cause = self._sync(request), requests.cause(request)
        given = OrderGiven(target=self._view.target, owner="cluster-applier")
        order = SuspendRequested(sync=sync, suspended=suspended, cause=cause)
        return web.json_response(await self._handlers.say(given, order))

    async def _diff(self, request: web.Request) -> web.Response:
        question = DiffQuestion(sync=self._sync(request))
        made = await self._asking.ask(question, DiffMade, timeout=PATIENCE)
        if made.error:
            raise unprocessable(made.error)
        return web.json_response(made.model_dump(mode="json", exclude={"error"}))

    def _sync(self, request: web.Request) -> str:
        name = request.match_info["name"]
        if name not in self._view.syncs:
            known = ", ".join(sorted(self._view.syncs))
            raise missing(f"flux.yaml has no sync {name} of this target; there are {known}")
        return name
