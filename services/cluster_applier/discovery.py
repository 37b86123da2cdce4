"""Which kinds a cluster serves, and where: two requests, again when a kind is not known."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from services.cluster_applier.kube import DISCOVERY, Kube
from shared.manifests import ObjectId
from shared.runtime.errors import TemporaryError

PAUSE = 2.0
"""Seconds between two looks for kinds that are not known."""

_FORMS = frozenset({"APIGroupDiscoveryList", "APIGroupList", "APIVersions"})
"""Of what a server says of its groups: today's, and those before 1.26."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A kind, as the API server serves it."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    listed: bool = True
    """Whether its objects can be listed and watched."""
    applied: bool = True
    """Whether its objects can be declared; those that only ask the server something can't."""

    @property
    def key(self) -> tuple[str, str]:
        """Group and kind, whatever the version."""
        return self.group, self.kind

    def collection(self, namespace: str = "") -> str:
        """Return the path of its objects, in one namespace or in all."""
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        inside = f"/namespaces/{quote(namespace)}" if self.namespaced and namespace else ""
        return f"{base}{inside}/{self.plural}"

    def path(self, namespace: str, name: str) -> str:
        """Return the path of one object."""
        return f"{self.collection(namespace)}/{quote(name)}"

    def named(self, metadata: Mapping[str, Any]) -> ObjectId:
        """Return the id of one of its objects, by the metadata that the server shows."""
        return ObjectId(
            group=self.group,
            kind=self.kind,
            namespace=str(metadata.get("namespace") or ""),
            name=str(metadata.get("name") or ""),
        )


class Discovery:
    """What one cluster serves."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._known: dict[tuple[str, str, str], Resource] = {}
        self._looked = float("-inf")
        self.generation = 0
        """Of what is known; a higher one may place objects elsewhere."""
        self._expired = False
        self._one_at_a_time = asyncio.Lock()

    async def find(self, named: ObjectId, version: str) -> Resource | None:
        """Return how a kind is served; None where none can be applied, as far as we know."""
        key = named.group, version, named.kind
        if self._expired or key not in self._known:
            await self._refresh()
        found = self._known.get(key)
        return found if found and found.applied else None

    async def preferred(self, group: str, kind: str) -> Resource | None:
        """Return a kind in whichever version is served."""
        for refreshed in (False, True):
            found = [one for one in self._known.values() if (one.group, one.kind) == (group, kind)]
            if found:
                return found[0]
            if not refreshed:
                await self._refresh()
        return None

    def alike(self, kind: str) -> list[Resource]:
        """Return what is served under almost that name, in whichever group and version."""
        alike = [one for one in self.all() if one.kind.lower() == kind.lower()]
        return sorted(alike, key=lambda one: one.group)

    def all(self) -> list[Resource]:
        """Return every kind that is served, each in the version that the server prefers."""
        found: dict[tuple[str, str], Resource] = {}
        for one in self._known.values():
            found.setdefault(one.key, one)
        return list(found.values())

    def expire(self) -> None:
        """Look anew whatever is asked for next: something was not where it should be."""
        self._looked, self._expired = float("-inf"), True
        self.generation += 1

    async def look(self) -> None:
        """Look anew now: nobody asks for a kind that he does not know of."""
        await self._refresh(since=asyncio.get_running_loop().time())

    def forget(self) -> None:
        """Look anew at the next kind that is not known: definitions have come."""
        self._looked = float("-inf")

    async def _refresh(self, since: float | None = None) -> None:
        """Look anew, unless somebody did *since* then, or a moment ago."""
        async with self._one_at_a_time:
            now = asyncio.get_running_loop().time()
            if self._looked >= (now - PAUSE if since is None else since):
                return
            found: dict[tuple[str, str, str], Resource] = {}
            for root in ("/api", "/apis"):
                async for one in self._served(root):
                    found.setdefault((one.group, one.version, one.kind), one)
            self._known = found
            self._looked, self._expired = now, False
            self.generation += 1

    async def _served(self, root: str) -> AsyncIterator[Resource]:
        answer = await self._kube.get(root, accept=DISCOVERY)
        if not answer.ok:
            raise TemporaryError(self._kube.name, f"discovery: {answer.reason}")
        if answer.body.get("kind") not in _FORMS:
            raise TemporaryError(self._kube.name, "discovery: it says something else")
        try:
            async for one in self._resources(root, answer.body):
                yield one
        except (AttributeError, KeyError, TypeError) as error:
            raise TemporaryError(self._kube.name, "discovery: it can't be understood") from error

    async def _resources(self, root: str, body: Mapping[str, Any]) -> AsyncIterator[Resource]:
        """Yield what is served; of a group that can't be asked now, what it served before."""
        if body.get("kind") == "APIGroupDiscoveryList":
            for group, version in _aggregated(body):
                name = str(version.get("version", ""))
                stale = version.get("freshness") == "Stale"
                some = self._before(group, name) if stale else _shown(group, name, version)
                for one in some:
                    yield one
            return
        for group, name, path in _versions(root, body):
            answer = await self._kube.look(path)
            asked = answer.ok and isinstance(answer.body, Mapping)
            for one in _listed(group, name, answer.body) if asked else self._before(group, name):
                yield one

    def _before(self, group: str, version: str) -> list[Resource]:
        return [one for one in self._known.values() if (one.group, one.version) == (group, version)]


def _aggregated(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each group's name and each of its versions, the preferred one first."""
    for group in body.get("items") or ():
        name = str((group.get("metadata") or {}).get("name") or "")
        for version in group.get("versions") or ():
            yield name, version


def _shown(group: str, name: str, version: Mapping[str, Any]) -> Iterator[Resource]:
    for one in version.get("resources") or ():
        kind = str((one.get("responseKind") or {}).get("kind") or "")
        if kind and one.get("resource"):
            yield Resource(
                group=group,
                version=name,
                kind=kind,
                plural=str(one["resource"]),
                namespaced=one.get("scope") == "Namespaced",
                listed={"list", "watch"} <= set(one.get("verbs") or ()),
                applied="patch" in (one.get("verbs") or ()),
            )


def _versions(root: str, body: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Return group, version and path of what servers before 1.26 list."""
    for version in body.get("versions", ()):
        yield "", version, f"{root}/{version}"
    for group in body.get("groups", ()):
        for one in group["versions"]:
            yield group["name"], one["version"], f"{root}/{one['groupVersion']}"


def _listed(group: str, version: str, body: Mapping[str, Any]) -> Iterator[Resource]:
    for one in body.get("resources", ()):
        if "/" not in one["name"]:  # a subresource
            yield Resource(
                group=group,
                version=version,
                kind=one["kind"],
                plural=one["name"],
                namespaced=one["namespaced"],
                listed={"list", "watch"} <= set(one.get("verbs") or ()),
                applied="patch" in (one.get("verbs") or ()),
            )
