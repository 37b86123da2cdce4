"""Reads bodies and parameters of requests; what can't be read is an error that says why."""

import asyncio
import json
from typing import Any

from aiohttp import web

from services.gateway.domain.errors import ApiError, bad_request, not_found, unprocessable
from services.gateway.domain.fields import check_text
from services.gateway.domain.specs import ALL
from shared.contract import Cause
from shared.manifests import WorkloadId

LARGEST_BODY = 1_000_000
SLOWEST_BODY = 30.0
"""Seconds for a client to send all of a body."""


async def body(request: web.Request) -> Any:
    """Return the decoded body; its Content-Type does not matter."""
    try:
        async with asyncio.timeout(SLOWEST_BODY):
            raw = await request.read()
    except TimeoutError as error:
        sentence = f"the body did not come within {SLOWEST_BODY:g} s"
        raise ApiError(408, "user", sentence) from error
    except web.HTTPRequestEntityTooLarge as error:
        sentence = f"the body is larger than {LARGEST_BODY} bytes"
        raise ApiError(413, "user", sentence) from error
    try:
        found = json.loads(raw or b"null")
    except (ValueError, RecursionError) as error:
        raise bad_request(f"the body is no JSON: {error}") from error
    check_text(found)
    return found


def required(request: web.Request, name: str) -> str:
    """Return a parameter without which a route does not exist; it may be empty."""
    if name not in request.query:
        why = f"The parameter {name} is missing."
        raise not_found(request.method, request.path, why)
    return request.query[name]


def workloads(request: web.Request, name: str) -> list[str]:
    """Return the ids of workloads in a parameter; none for all of them."""
    written = ",".join(request.query.getall(name, [])).split(",")
    try:
        return [str(WorkloadId.parse(one)) for one in written if one and one != ALL]
    except ValueError as error:
        raise bad_request(f"{name}: {error}") from error


def namespace(request: web.Request, wanted: list[str]) -> str:
    """Return the namespace to look at; empty for all."""
    found = request.query.get("namespace", "")
    if found and wanted:
        raise unprocessable("cannot filter by 'namespace' and 'workloads' at the same time")
    return found


def cause(request: web.Request) -> Cause:
    """Return who gives an order, and why, as older clients say it."""
    query = request.query
    return Cause(user=query.get("user", ""), message=query.get("message", ""))
