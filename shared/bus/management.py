"""
RabbitMQ's management API: limits, and the services' users with what each may do.

Only the topology command calls it, with an administrator's credentials.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from shared.bus.grants import Grant
from shared.bus.layout import Policy
from shared.runtime.errors import PermanentError


class Management:
    """The API, for one virtual host."""

    def __init__(self, session: aiohttp.ClientSession, base: str, vhost: str) -> None:
        self._session = session
        self._base = base.rstrip("/")
        self._vhost = vhost

    @classmethod
    @asynccontextmanager
    async def open(cls, base: str, amqp: URL) -> AsyncIterator["Management"]:
        """Be the user of *amqp* for the length of the block."""
        login = aiohttp.encode_basic_auth(amqp.user or "guest", amqp.password or "guest")
        vhost = amqp.path.removeprefix("/") or "/"
        async with aiohttp.ClientSession(headers={"Authorization": login}) as session:
            yield cls(session, base, vhost)

    async def limit(self, policies: Iterable[Policy]) -> None:
        """Set *policies*."""
        for policy in policies:
            body = {
                "pattern": policy.pattern,
                "definition": dict(policy.definition),
                "apply-to": "queues",
            }
            await self._put(body, "policies", self._vhost, policy.name)

    async def admit(self, user: str, password: str, grant: Grant) -> None:
        """
        Make *user*, or change it, so that it may do what *grant* says and nothing else.

        Raises:
            PermanentError: the user is somebody who administers the broker.
        """
        if tags := await self._tags(user):
            raise PermanentError(
                f"the broker's user {user} is {', '.join(tags)}; give the services users of their"
                " own, or take its tags away"
            )
        rights = {"configure": grant.configure, "write": grant.write, "read": grant.read}
        await self._put({"password": password, "tags": ""}, "users", user)
        # First the narrow ones: a topic exchange without any lets everything pass.
        for exchange, topics in grant.topics.items():
            narrow = {"exchange": exchange, "write": topics.write, "read": topics.read}
            await self._put(narrow, "topic-permissions", self._vhost, user)
        await self._put(rights, "permissions", self._vhost, user)

    async def _tags(self, user: str) -> list[str]:
        async with self._session.get(self._url("users", user)) as answer:
            if answer.status == 404:
                return []
            answer.raise_for_status()
            tags = (await answer.json())["tags"]
        return tags.split(",") if isinstance(tags, str) else list(tags)

    async def _put(self, body: Mapping[str, Any], *path: str) -> None:
        async with self._session.put(self._url(*path), json=body) as answer:
            answer.raise_for_status()

    def _url(self, *path: str) -> URL:
        parts = "/".join(quote(part, safe="") for part in path)
        return URL(f"{self._base}/api/{parts}", encoded=True)
