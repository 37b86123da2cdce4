"""What tells clients which kinds are served: both forms of discovery, and a little OpenAPI."""

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.kinds import Kinds, Resource

_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
_SUB_VERBS = ["get", "patch", "update"]


def answer(kinds: Kinds, path: str, *, aggregated: bool) -> dict[str, Any] | None:
    """Return the document at *path*; None where that is not about discovery."""
    steps = path.strip("/").split("/")
    if steps in (["api"], ["apis"]) and aggregated:
        return _aggregated(kinds, core=steps == ["api"])
    found: dict[str, Any] | None = None
    match steps:
        case ["api"]:
            found = {"kind": "APIVersions", "apiVersion": "v1", "versions": ["v1"]}
        case ["apis"]:
            groups = [_group(name, vers) for name, vers in kinds.groups().items() if name]
            found = {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["apis", group] if group in kinds.groups():
            one = _group(group, kinds.groups()[group])
            found = {"kind": "APIGroup", "apiVersion": "v1", **one}
        case ["api", "v1"]:
            found = _resources(kinds, "v1")
        case ["apis", group, version] if version in kinds.groups().get(group, ()):
            found = _resources(kinds, f"{group}/{version}")
        case ["openapi", "v3"]:
            found = _open_api_index(kinds)
        case ["openapi", "v3", _, *rest]:
            found = _open_api(kinds, "/".join(rest))
    return found


def _group(name: str, versions: list[str]) -> dict[str, Any]:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _resources(kinds: Kinds, group_version: str) -> dict[str, Any]:
    listed: list[dict[str, Any]] = []
    for resource in kinds:
        if resource.group_version != group_version:
            continue
        listed.append(_resource(resource))
        for sub in resource.subresources:
            entry = {**sub, "name": f"{resource.plural}/{sub['name']}", "singularName": ""}
            listed.append({**entry, "namespaced": resource.namespaced, "verbs": _SUB_VERBS})
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": listed,
    }


def _resource(resource: Resource) -> dict[str, Any]:
    entry = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": _VERBS,
    }
    return entry | _names(resource)


def _names(resource: Resource) -> dict[str, Any]:
    names = {"shortNames": resource.short_names, "categories": resource.categories}
    return {name: list(values) for name, values in names.items() if values}


def _aggregated(kinds: Kinds, *, core: bool) -> dict[str, Any]:
    groups = {name: vers for name, vers in kinds.groups().items() if (not name) is core}
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": name} if name else {},
                "versions": [_aggregated_version(kinds, name, version) for version in versions],
            }
            for name, versions in groups.items()
        ],
    }


def _aggregated_version(kinds: Kinds, group: str, version: str) -> dict[str, Any]:
    resources = [it for it in kinds if (it.group, it.version) == (group, version)]
    listed = [_aggregated_resource(resource) for resource in resources]
    return {"version": version, "resources": listed, "freshness": "Current"}


def _aggregated_resource(resource: Resource) -> dict[str, Any]:
    subresources = [
        {"subresource": sub["name"], "responseKind": _response_kind(sub), "verbs": _SUB_VERBS}
        for sub in resource.subresources
    ]
    entry = {
        "resource": resource.plural,
        "responseKind": _response_kind({"kind": resource.kind}),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": _VERBS,
        **_names(resource),
    }
    return entry | ({"subresources": subresources} if subresources else {})


def _response_kind(said: Mapping[str, str]) -> dict[str, str]:
    # An empty group and version stand for those of the resource itself.
    return {name: said.get(name, "") for name in ("group", "version", "kind")}


def _open_api_index(kinds: Kinds) -> dict[str, Any]:
    places = {_place(resource) for resource in kinds}
    return {"paths": {at: {"serverRelativeURL": f"/openapi/v3/{at}"} for at in sorted(places)}}


def _open_api(kinds: Kinds, group_version: str) -> dict[str, Any] | None:
    """Say only that unknown fields are checked here, so that kubectl need not do it."""
    paths = {
        f"/{_place(resource)}/{resource.plural}/{{name}}": {"patch": _patch_operation(resource)}
        for resource in kinds
        if resource.group_version == group_version
    }
    info = {"title": "Kubernetes", "version": kinds.version["gitVersion"]}
    return {"openapi": "3.0.0", "info": info, "paths": paths} if paths else None


def _patch_operation(resource: Resource) -> dict[str, Any]:
    names = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    parameters = ({"name": name, "in": "query"} for name in ("dryRun", "fieldValidation"))
    return {
        "x-kubernetes-group-version-kind": names,
        "parameters": [{**parameter, "schema": {"type": "string"}} for parameter in parameters],
        "responses": {"200": {"description": "OK"}},
    }


def _place(resource: Resource) -> str:
    return f"apis/{resource.group_version}" if resource.group else f"api/{resource.version}"
