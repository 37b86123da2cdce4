"""
A virtual host of its own on a broker: several copies of Flux then share one, unseen.

Users are the whole broker's: those whose names begin with the virtual host's, and a dot, go with
it.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
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
    await make(broker, name)
    try:
        yield str(URL(broker.amqp_url).with_path(f"/{name}"))
    finally:
        async with _management(broker) as session:
            await session.delete(f"/api/vhosts/{name}")
            async with session.get("/api/users") as answer:
                users = [one["name"] for one in await answer.json()]
            for user in users:
                if user.startswith(f"{name}."):
                    await session.delete(f"/api/users/{user}")


async def make(broker: Broker, name: str) -> None:
    """
    Make the virtual host *name*, where it is not there.

    Raises:
        SandboxError: the management API can't be reached, or refuses.
    """
    async with _management(broker) as session:
        await _put(session, f"/api/vhosts/{name}", None)
        await _put(session, f"/api/permissions/{name}/{broker.username}", _EVERYTHING)


async def is_possible(broker: Broker) -> bool:
    """Tell whether the broker's management API is there to make one."""
    try:
        async with _management(broker) as session, session.get("/api/whoami") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def service_urls(url: str, services: Iterable[str]) -> Mapping[str, str]:
    """Return an address on the virtual host of *url* for each of *services*, with its own user."""
    place = URL(url)
    vhost = place.path.strip("/")
    return {
        name: str(place.with_user(f"{vhost}.{name}").with_password(token_hex(16)))
        for name in services
    }


def _management(broker: Broker) -> aiohttp.ClientSession:
    login = aiohttp.encode_basic_auth(broker.username, broker.password)
    return aiohttp.ClientSession(broker.management_url, headers={"Authorization": login})


async def _put(session: aiohttp.ClientSession, path: str, body: object) -> None:
    try:
        async with session.put(path, json=body) as answer:
            answer.raise_for_status()
    except aiohttp.ClientError as error:
        raise SandboxError(
            f"the broker's management API does not make a virtual host ({error}); for a broker of"
            " your own set RABBITMQ_MANAGEMENT_URL, and use a user with the tag administrator"
        ) from error
