"""
Records what a real API server says of its kinds, as `recorded.json`.

Run ``python -m sandbox.emulator.record KUBECONFIG`` after a change of the real control plane's
version. Only the shape is kept: fields, how lists and maps merge, and defaults.
"""

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sandbox.kube import Kube, kube

RECORDED = Path(__file__).parent / "recorded.json"

KINDS: Mapping[str, str] = {
    "v1": "namespaces configmaps secrets services serviceaccounts pods events endpoints nodes "
    "persistentvolumeclaims limitranges resourcequotas",
    "apps/v1": "deployments statefulsets daemonsets replicasets",
    "batch/v1": "jobs cronjobs",
    "networking.k8s.io/v1": "ingresses networkpolicies ingressclasses",
    "rbac.authorization.k8s.io/v1": "roles rolebindings clusterroles clusterrolebindings",
    "policy/v1": "poddisruptionbudgets",
    "autoscaling/v2": "horizontalpodautoscalers",
    "coordination.k8s.io/v1": "leases",
    "storage.k8s.io/v1": "storageclasses",
    "apiextensions.k8s.io/v1": "customresourcedefinitions",
}
_SUBRESOURCES = {"status", "scale"}
_REF = "#/components/schemas/"


async def record(server: Kube) -> Mapping[str, Any]:
    """Ask *server* for its version, its kinds and their types."""
    _, said = await server.call("GET", "version")
    version = {name: said[name] for name in ("major", "minor", "gitVersion", "platform")}
    resources: list[Any] = []
    types: dict[str, Any] = {}
    for group_version, names in KINDS.items():
        place = f"apis/{group_version}" if "/" in group_version else f"api/{group_version}"
        _, listed = await server.call("GET", place)
        _, document = await server.call("GET", f"openapi/v3/{place}")
        schemas = document["components"]["schemas"]
        for name in names.split():
            resource = _resource(group_version, name, listed["resources"])
            resource["type"] = _root(group_version, resource["kind"], schemas)
            _collect(resource["type"], schemas, types)
            resources.append(resource)
    return {"version": version, "resources": resources, "types": dict(sorted(types.items()))}


def _resource(group_version: str, name: str, listed: list[Any]) -> dict[str, Any]:
    found = next(entry for entry in listed if entry["name"] == name)
    kept = ("name", "singularName", "kind", "namespaced", "shortNames", "categories")
    subresources = [
        {key: entry[key] for key in ("kind", "group", "version") if key in entry}
        | {"name": entry["name"].partition("/")[2]}
        for entry in listed
        if entry["name"].startswith(f"{name}/") and entry["name"].partition("/")[2] in _SUBRESOURCES
    ]
    return {"groupVersion": group_version, "subresources": subresources} | {
        key: found[key] for key in kept if key in found
    }


def _root(group_version: str, kind: str, schemas: Mapping[str, Any]) -> str:
    group, _, version = group_version.rpartition("/")
    wanted = {"group": group, "version": version, "kind": kind}
    for name, schema in schemas.items():
        if wanted in schema.get("x-kubernetes-group-version-kind", ()):
            return str(name)
    raise LookupError(f"the API server describes no {kind} of {group_version}")


def _collect(name: str, schemas: Mapping[str, Any], types: dict[str, Any]) -> None:
    if name in types:
        return
    schema = schemas[name]
    types[name] = _shape(schema)
    for inner in _references(schema):
        _collect(inner, schemas, types)


def _shape(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Say in short what a schema is; the words are those that `shapes` reads."""
    if (name := next(_references(schema, deep=False), None)) is not None:
        shape: dict[str, Any] = {"ref": name}
        if schema.get("default") == {}:
            shape["embedded"] = True
    elif schema.get("type") == "array":
        shape = _list(schema)
    elif "properties" in schema:
        shape = {"fields": {key: _shape(value) for key, value in schema["properties"].items()}}
        for key in schema.get("required", ()):
            # Go writes them even where there is nothing in them.
            if shape["fields"][key].keys() & {"list", "map"}:
                shape["fields"][key]["embedded"] = True
    elif "additionalProperties" in schema:
        shape = {"map": _shape(schema["additionalProperties"])}
    else:
        shape = {} if schema.get("type", "object") == "object" else {"scalar": True}
    return shape | _extras(schema)


def _list(schema: Mapping[str, Any]) -> dict[str, Any]:
    shape: dict[str, Any] = {"list": _shape(schema["items"])}
    if schema.get("x-kubernetes-list-type") == "map":
        shape["keys"] = schema["x-kubernetes-list-map-keys"]
    elif schema.get("x-kubernetes-list-type") == "set":
        shape["set"] = True
    if "merge" in schema.get("x-kubernetes-patch-strategy", ""):
        shape["merge"] = schema.get("x-kubernetes-patch-merge-key", "")
    return shape


def _extras(schema: Mapping[str, Any]) -> dict[str, Any]:
    extras = {"atomic": True} if schema.get("x-kubernetes-map-type") == "atomic" else {}
    if schema.get("default") not in (None, {}):
        extras["default"] = schema["default"]
    return extras


def _references(schema: Any, *, deep: bool = True) -> Iterator[str]:
    parts = schema.values() if isinstance(schema, Mapping) else schema
    if isinstance(schema, Mapping):
        # A schema that describes schemas has a property of that name, too.
        if isinstance(target := schema.get("$ref"), str):
            yield target.removeprefix(_REF)
        parts = parts if deep else schema.get("allOf", ())
    for part in parts:
        if isinstance(part, (Mapping, list)):
            yield from _references(part, deep=deep)


async def _main(kubeconfig: Path) -> None:
    async with kube(kubeconfig) as server:
        said = await record(server)
    RECORDED.write_text(text(said))


def text(said: Mapping[str, Any]) -> str:
    """Write one line for each resource and each type, so that changes can be read."""
    resources = ",\n".join(json.dumps(entry, sort_keys=True) for entry in said["resources"])
    types = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(shape, sort_keys=True)}"
        for name, shape in said["types"].items()
    )
    version = json.dumps(said["version"])
    return f'{{"version": {version},\n"resources": [\n{resources}],\n"types": {{\n{types}}}}}\n'


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
