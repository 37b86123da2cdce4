"""A virtual host of its own on a broker: several copies of Flux then share one, unseen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_hex

import aiohttp
from yarl import URL

from sandbox.broker import Broker
from sandbox.errors import SandboxError

_EVERYTHING = {"configure": ".*", "write": ".*", "read": ".*"}


@asynccontextmanager
async def virtual_host(broker: Broker, prefix: str = "flux") -> AsyncIterator[str]:
    """
    Make a virtual host for the length of the block; yield its AMQP address.

    Raises:
        SandboxError: the management API can't be reached, or refuses.
    """
    name = f"{prefix}-{token_hex(4)}"
    auth = {"Authorization": aiohttp.encode_basic_auth(broker.username, broker.password)}
    async with aiohttp.ClientSession(broker.management_url, headers=auth) as session:
        await _put(session, f"/api/vhosts/{name}", None)
        await _put(session, f"/api/permissions/{name}/{broker.username}", _EVERYTHING)
        try:
            yield str(URL(broker.amqp_url).with_path(f"/{name}"))
        finally:
            await session.delete(f"/api/vhosts/{name}")


async def _put(session: aiohttp.ClientSession, path: str, body: object) -> None:
    try:
        async with session.put(path, json=body) as answer:
            answer.raise_for_status()
    except aiohttp.ClientError as error:
        raise SandboxError(
            f"the broker's management API does not make a virtual host ({error}); for a broker of"
            " your own set RABBITMQ_MANAGEMENT_URL, and use a user with the tag administrator"
        ) from error
