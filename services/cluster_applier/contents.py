"""What a namespace or a definition holds, which would go with it."""

from collections.abc import Mapping
from typing import Any

from services.cluster_applier.discovery import Discovery, Resource
from services.cluster_applier.domain.pruning import is_foreign
from services.cluster_applier.kube import METADATA_LIST, Kube
from shared.manifests import ObjectId
from shared.runtime.tasks import each

_MEASURED = "metrics.k8s.io"
"""Groups of what is not there by itself, but computed when somebody asks."""
AT_ONCE = 8
PAGE = "100"


class Contents:
    """Looks into what is to be deleted."""

    def __init__(self, kube: Kube, discovery: Discovery) -> None:
        self._kube = kube
        self._discovery = discovery

    async def foreign(self, named: ObjectId) -> str:
        """Return an example of what somebody else has in it; empty for nothing."""
        if named.kind == "Namespace" and not named.group:
            await self._discovery.look()  # others may have defined kinds since
            kinds = [
                one
                for one in self._discovery.all()
                if one.namespaced and one.listed and not one.group.endswith(_MEASURED)
            ]
            return await self._first(kinds, named.name)
        if named.kind == "CustomResourceDefinition":
            return await self._of_definition(named)
        return ""

    async def _of_definition(self, named: ObjectId) -> str:
        """Return an object that it defines; the definition itself says where they are."""
        resource = await self._discovery.preferred(named.group, named.kind)
        answer = await self._kube.look(resource.path("", named.name)) if resource else None
        if answer is None or not answer.ok:
            return f"it can't be read ({answer.reason if answer else 'it is not served'})"
        kind = _defined(answer.body["spec"])
        return await self._example(kind, "") if kind else "none of its versions is served"

    async def _first(self, kinds: list[Resource], namespace: str) -> str:
        found: list[str] = []

        async def look(kind: Resource) -> None:
            found.append(await self._example(kind, namespace))

        await each(kinds, look, at_once=AT_ONCE, name="contents")
        return max(found, default="")

    async def _example(self, kind: Resource, namespace: str) -> str:
        """Return an object of a kind; what can't be read may hold anything."""
        answer = await self._kube.look(kind.collection(namespace), accept=METADATA_LIST, limit=PAGE)
        if answer.status in {404, 405}:
            return ""
        if not answer.ok or not answer.is_list:
            return f"its {kind.plural} can't be read ({answer.reason})"
        for item in answer.body.get("items") or ():
            metadata = item.get("metadata") or {}
            if is_foreign(kind.key, metadata):
                return str(kind.named(metadata))
        return ""


def _defined(spec: Mapping[str, Any]) -> Resource | None:
    """Return the kind of a definition, in any version that is served; None where none is."""
    for version in spec["versions"]:
        if version["served"]:
            return Resource(
                group=spec["group"],
                version=version["name"],
                kind=spec["names"]["kind"],
                plural=spec["names"]["plural"],
                namespaced=spec["scope"] == "Namespaced",
            )
    return None
