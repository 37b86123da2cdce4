"""A webhook of a cluster that answers as a test tells it: about admission, or to convert."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.certificates import certificate


@dataclass(slots=True, kw_only=True)
class Answering:
    """How the API server reaches it, and what it was asked."""

    client: dict[str, str]
    """A `clientConfig`."""
    work: Callable[[Any], Any]
    """Makes the response out of a request."""
    met: int = 0


@asynccontextmanager
async def answering(directory: Path, work: Callable[[Any], Any]) -> AsyncIterator[Answering]:
    """Serve a webhook; its files are in *directory*."""
    context, authority = certificate(directory)
    found = Answering(client={"caBundle": base64.b64encode(authority).decode()}, work=work)

    async def answer(request: web.Request) -> web.Response:
        found.met += 1
        review = json.loads(await request.read())
        asked = review.pop("request")
        return web.json_response({**review, "response": {"uid": asked["uid"], **found.work(asked)}})

    app = web.Application(client_max_size=2**24)
    app.router.add_route("POST", "/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    found.client["url"] = f"https://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield found
    finally:
        await runner.cleanup()


def converted(asked: Any) -> Any:
    """Convert as if both versions were the same."""
    objects = [{**one, "apiVersion": asked["desiredAPIVersion"]} for one in asked["objects"]]
    return {"result": {"status": "Success"}, "convertedObjects": objects}


def patched(*changes: Any) -> Any:
    """Allow an object with these changes, a JSON patch."""
    patch = base64.b64encode(json.dumps(changes).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": patch}
