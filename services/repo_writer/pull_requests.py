"""
Opens, updates and closes the pull request of a branch, by the HTTP API of its host.

What is done is the same at every host, `pull_dialects` has its words. There is one open request for
a branch at most.
"""

from collections.abc import Mapping
from typing import Any

import aiohttp
from yarl import URL

from services.repo_writer.domain.proposal import Proposal
from services.repo_writer.pull_dialects import APIS, DIALECTS, Found
from shared.config import secrets
from shared.config.git import PullRequests
from shared.runtime.errors import PermanentError, TemporaryError
from shared.runtime.masking import Masking

PATIENCE = 20.0
"""Seconds for each request."""
WORDS = 300
"""Characters that we keep of what a host says."""
PAGES = 20
_MASK = Masking(secrets.known)


class PullRequest:
    """The request from one branch to another."""

    def __init__(self, settings: PullRequests, project: str, host: str) -> None:
        self._dialect = DIALECTS[settings.host](project)
        self._token = settings.token
        self._api = (settings.api or APIS.get(settings.host) or f"https://{host}/api/v1") + "/"
        self._name = f"pull requests of {URL(self._api).host}"

    async def propose(self, head: str, base: str, what: Proposal) -> str:
        """
        Have one open request with these words; return where people see it.

        Raises:
            TemporaryError: the host can't be reached, or refuses; people can mend that.
        """
        async with self._session() as session:
            found = await self._find(session, head, base)
            if found is None:
                path, body = self._dialect.opening(head, base, what)
                made = self._dialect.found(await self._ask(session, "POST", path, body), head, base)
                return made.url if made else ""
            if (found.title, found.body) != (what.title, what.body):
                await self._ask(session, *self._dialect.updating(found.number, what))
            return found.url

    async def withdraw(self, head: str, base: str) -> None:
        """Close the request, if one is open."""
        async with self._session() as session:
            found = await self._find(session, head, base)
            if found is not None:
                await self._ask(session, *self._dialect.closing(found.number))

    def _session(self) -> aiohttp.ClientSession:
        try:
            headers = self._dialect.headers(self._token.read())
        except PermanentError as error:
            raise TemporaryError(self._name, str(error)) from error
        return aiohttp.ClientSession(
            headers=headers, timeout=aiohttp.ClientTimeout(total=PATIENCE), trust_env=True
        )

    async def _find(self, session: aiohttp.ClientSession, head: str, base: str) -> Found | None:
        path, query = self._dialect.listing(head, base)
        for page in range(1, PAGES + 1):
            answer = await self._ask(session, "GET", path, query={**query, "page": str(page)})
            try:
                items = answer["values"] if isinstance(answer, dict) else answer
                found = [one for item in items if (one := self._dialect.found(item, head, base))]
            except (KeyError, TypeError, AttributeError) as error:
                reason = f"its list of requests is not as published: {error!r}"
                raise TemporaryError(self._name, reason) from error
            if found or not items:
                return found[0] if found else None
        return None

    async def _ask(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        # Encoded already: a project of GitLab is one part of the path, with %2F in it.
        url = URL(self._api + path, encoded=True).update_query(query or {})
        try:
            # A redirect would turn a POST into a GET, or show the token elsewhere.
            async with session.request(method, url, json=body, allow_redirects=False) as answer:
                text = await answer.text()
                if not 200 <= answer.status < 300:
                    said = " ".join(text.split())[:WORDS]
                    raise TemporaryError(self._name, _MASK(f"{method}: {answer.status} {said}"))
                return await answer.json(content_type=None) if text.strip() else {}
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            reason = _MASK(str(error) or type(error).__name__)
            raise TemporaryError(self._name, reason) from error
