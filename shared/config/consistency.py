"""
What contradicts itself across `flux.yaml`: names given twice, names of nothing.

Works on plain values, and passes over what has the wrong shape: so it can be told together with
mistakes of other kinds, in a file that is no valid configuration yet.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Keys = tuple[str | int, ...]
"""The way to a place in the file: `("syncs", 0, "git")`."""

PORTS = {
    "git_watcher": 8081,
    "registry_scanner": 8082,
    "repo_writer": 8083,
    "cluster_applier": 8084,
    "gateway": 8085,
    "renderer": 8086,
}
"""Where each service serves its health pages, if nothing else is said."""


def contradictions(values: Any) -> Iterator[tuple[Keys, str]]:
    """Yield each contradiction in *values*, and where it stands."""
    whole = _mapping(values)
    yield from _twice("syncs", _items(whole, "syncs"), "name")
    yield from _twice("targets", _items(whole, "targets"), "name", default="default")
    yield from _twice("registries", _items(whole, "registries"), "host")
    yield from _unknown_targets(whole)
    yield from _dependencies(_items(whole, "syncs"))
    yield from _no_renderer(whole)
    yield from _no_generation(whole)
    yield from _shared_ports(_mapping(whole.get("health")))


def _twice(
    key: str, items: list[Mapping[Any, Any]], named: str, *, default: str | None = None
) -> Iterator[tuple[Keys, str]]:
    first: dict[Any, int] = {}
    for index, item in enumerate(items):
        name = item.get(named, default)
        if not isinstance(name, str):
            continue
        if name in first:
            yield (key, index, named), f"{name!r} is given twice, first in {key}.{first[name]}"
        first.setdefault(name, index)


def _unknown_targets(whole: Mapping[Any, Any]) -> Iterator[tuple[Keys, str]]:
    targets = {
        name
        for item in _items(whole, "targets") or [{}]
        if isinstance(name := item.get("name", "default"), str)
    }
    listed = ", ".join(sorted(targets))
    users: list[tuple[Keys, Any]] = [
        (("syncs", index, "target"), item.get("target", "default"))
        for index, item in enumerate(_items(whole, "syncs"))
    ]
    users.append((("gateway", "target"), _mapping(whole.get("gateway")).get("target", "default")))
    for where, target in users:
        if isinstance(target, str) and target not in targets:
            yield where, f"{target!r} is not among the targets: {listed}"


def _dependencies(syncs: list[Mapping[Any, Any]]) -> Iterator[tuple[Keys, str]]:
    needs = {
        str(sync.get("name")): [str(one) for one in _list(sync.get("depends_on"))] for sync in syncs
    }
    for index, sync in enumerate(syncs):
        name = str(sync.get("name"))
        for number, needed in enumerate(needs[name]):
            where = ("syncs", index, "depends_on", number)
            if needed not in needs:
                yield where, f"{needed!r} is not among the syncs: {', '.join(sorted(needs))}"
            elif _leads_to(needed, name, needs):
                yield (
                    where,
                    f"{needed!r} waits for {name!r}: neither would ever be applied",
                )


def _leads_to(start: str, wanted: str, needs: Mapping[str, list[str]]) -> bool:
    seen, todo = set(), [start]
    while todo:
        name = todo.pop()
        if name == wanted:
            return True
        if name not in seen:
            seen.add(name)
            todo += needs.get(name, ())
    return False


def _no_renderer(whole: Mapping[Any, Any]) -> Iterator[tuple[Keys, str]]:
    if whole.get("renderer") is not None:
        return
    for index, sync in enumerate(_items(whole, "syncs")):
        if _mapping(sync.get("git")).get("manifest_generation") is True:
            where = ("syncs", index, "git", "manifest_generation")
            yield where, "needs a renderer: write `renderer: {}` and start services.renderer"


def _no_generation(whole: Mapping[Any, Any]) -> Iterator[tuple[Keys, str]]:
    if whole.get("generation"):
        return
    for index, sync in enumerate(_items(whole, "syncs")):
        if sync.get("prune_on_removal") is True:
            where = ("syncs", index, "prune_on_removal")
            yield where, "needs a generation: write one, and raise it with every change of the file"


def _shared_ports(health: Mapping[Any, Any]) -> Iterator[tuple[Keys, str]]:
    first: dict[int, str] = {}
    for service, usual in PORTS.items():
        port = health.get(service, usual)
        # Port 0 picks a free one each time.
        if not isinstance(port, int) or not port:
            continue
        if port in first:
            yield ("health", service), f"port {port} is taken by health.{first[port]}"
        first.setdefault(port, service)


def _items(whole: Mapping[Any, Any], key: str) -> list[Mapping[Any, Any]]:
    found = whole.get(key)
    return [_mapping(item) for item in found] if isinstance(found, list | tuple) else []


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}
