"""
Merging a patch into an object, and finding the patch between two objects.

Kubernetes' own kinds are merged strategically: items of some lists are found again by a key, and
`$patch` and its kin are obeyed. Anything else, custom resources above all, is merged as JSON
(RFC 7386): null removes, and a list replaces a list.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from shared.manifests.pods import KNOWN

Path = tuple[str, ...]
Keys = Mapping[Path, str]
"""By the path of a list, without indexes: what its items are found by."""

_ITSELF = ""
"""The key of lists of single values: an item is what it says."""
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_IN_CONTAINER = {
    "env": "name",
    "ports": "containerPort",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
}
_IN_POD: Keys = {
    ("hostAliases",): "ip",
    ("imagePullSecrets",): "name",
    ("resourceClaims",): "name",
    ("schedulingGates",): "name",
    ("topologySpreadConstraints",): "topologyKey",
    ("volumes",): "name",
    **{(one,): "name" for one in _CONTAINERS},
    **{(one, field): key for one in _CONTAINERS for field, key in _IN_CONTAINER.items()},
}
_IN_METADATA: Keys = {("finalizers",): _ITSELF, ("ownerReferences",): "uid"}
_OTHERS: Mapping[str, Keys] = {
    "Service": {("spec", "ports"): "port"},
    "ServiceAccount": {("secrets",): "name"},
    "MutatingWebhookConfiguration": {("webhooks",): "name"},
    "ValidatingWebhookConfiguration": {("webhooks",): "name"},
}
_BUILT_IN = frozenset({"", "apps", "autoscaling", "batch", "extensions", "policy"})
_ORDER, _DELETE_FROM, _RETAIN = "$setElementOrder/", "$deleteFromPrimitiveList/", "$retainKeys"


class PatchError(ValueError):
    """A patch that can't be merged; the sentence says where and why."""


def merged(value: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the object *value* with *patch*; its kind stays, in the version that it has.

    Raises: PatchError.
    """
    keys = _keys(value)
    merge = _Json() if keys is None else _Strategic(keys)
    result = merge.mapping(value, patch, ())
    return {**result, "kind": value.get("kind"), "apiVersion": value.get("apiVersion")}


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to merge into *before* to have *after*; empty where they are equal."""
    return _difference(before, after, (), _keys(before) or {})


def _keys(value: Mapping[str, Any]) -> Keys | None:
    """Return the lists of a kind that are merged by keys; None for what is merged as JSON."""
    kind, version = value.get("kind"), value.get("apiVersion")
    if not isinstance(kind, str) or not isinstance(version, str):
        return None
    group = version.rpartition("/")[0]
    if group not in _BUILT_IN and not group.endswith(".k8s.io"):
        return None
    pod = tuple(str(one) for one in KNOWN.get(kind, ()))
    found = {("metadata", *path): key for path, key in _IN_METADATA.items()}
    if pod:
        found |= {(*pod, *path): key for path, key in _IN_POD.items()}
    return {**found, **_OTHERS.get(kind, {})}


class _Json:
    """RFC 7386."""

    def mapping(self, value: Any, patch: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """Return *value* with *patch*."""
        result = dict(value) if isinstance(value, Mapping) else {}
        for key, one in patch.items():
            if one is None:
                result.pop(key, None)
            elif isinstance(one, Mapping):
                result[key] = self.mapping(result.get(key), one, (*path, key))
            else:
                result[key] = deepcopy(one)
        return result


class _Strategic:
    """Kubernetes' strategic merge."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def mapping(self, value: Any, patch: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """Return *value* with *patch*."""
        how = patch.get("$patch", "merge")
        if how not in {"merge", "replace", "delete"}:
            raise PatchError(f"{_spelt(path)}: $patch is {how!r}, which is not known")
        plain = {key: one for key, one in patch.items() if not key.startswith("$")}
        if how == "delete":
            return {}
        start = dict(value) if isinstance(value, Mapping) and how == "merge" else {}
        result = self._fields(start, plain, path)
        self._ordered(result, patch, path)
        if _RETAIN in patch:
            kept = patch[_RETAIN] or ()
            result = {key: one for key, one in result.items() if key in kept}
        return result

    def _fields(
        self, result: dict[str, Any], patch: Mapping[str, Any], path: Path
    ) -> dict[str, Any]:
        for key, one in patch.items():
            inside = (*path, key)
            if one is None:
                result.pop(key, None)
            elif isinstance(one, Mapping):
                if one.get("$patch") == "delete":
                    result.pop(key, None)
                else:
                    result[key] = self.mapping(result.get(key), one, inside)
            elif isinstance(one, list) and inside in self._keys:
                result[key] = self._list(result.get(key), one, inside)
            else:
                result[key] = deepcopy(one)
        return result

    def _list(self, value: Any, patch: Sequence[Any], path: Path) -> list[Any]:
        key = self._keys[path]
        old = value if isinstance(value, list) else []
        if key == _ITSELF:
            return [*old, *(one for one in patch if one not in old)]
        if any(one == {"$patch": "replace"} for one in patch):
            return [deepcopy(one) for one in patch if one != {"$patch": "replace"}]
        result = list(old)
        for one in patch:
            self._item(result, one, key, path)
        return result

    def _item(self, result: list[Any], one: Any, key: str, path: Path) -> None:
        if not isinstance(one, Mapping) or key not in one:
            raise PatchError(f"{_spelt(path)}: an item to merge has no {key}")
        places = [place for place, old in enumerate(result) if _is(old, key, one[key])]
        if one.get("$patch") == "delete":
            result[:] = [old for old in result if not _is(old, key, one[key])]
        elif places:
            result[places[0]] = self.mapping(result[places[0]], one, path)
        else:
            result.append(self.mapping({}, one, path))

    def _ordered(self, result: dict[str, Any], patch: Mapping[str, Any], path: Path) -> None:
        """Obey what is said of lists by fields beside them."""
        for name, wanted in patch.items():
            if not isinstance(wanted, list):
                continue
            field = name.rpartition("/")[2]
            old = result.get(field)
            if name.startswith(_DELETE_FROM) and isinstance(old, list):
                result[field] = [one for one in old if one not in wanted]
            elif name.startswith(_ORDER) and isinstance(old, list):
                result[field] = _in_order(old, wanted, self._keys.get((*path, field), _ITSELF))


def _in_order(items: Sequence[Any], order: Sequence[Any], key: str) -> list[Any]:
    """Sort the items that *order* names among the places that they have; others stay."""
    names = [_name(one, key) for one in order]
    known = [one for one in items if _name(one, key) in names]
    known.sort(key=lambda one: names.index(_name(one, key)))
    rest = iter(known)
    return [next(rest) if _name(one, key) in names else one for one in items]


def _name(item: Any, key: str) -> Any:
    return item.get(key) if key and isinstance(item, Mapping) else item


def _is(item: Any, key: str, name: Any) -> bool:
    return isinstance(item, Mapping) and item.get(key) == name


def _difference(
    before: Mapping[str, Any], after: Mapping[str, Any], path: Path, keys: Keys
) -> dict[str, Any]:
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, new in after.items():
        old, inside = before.get(key), (*path, key)
        if key in before and equal(old, new):
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            patch[key] = _difference(old, new, inside, keys)
        elif isinstance(old, list) and isinstance(new, list) and keys.get(inside):
            patch[key] = _items(old, new, inside, keys)
        else:
            patch[key] = deepcopy(new)
    return patch


def _items(old: list[Any], new: list[Any], path: Path, keys: Keys) -> list[Any]:
    key = keys[path]
    if not all(isinstance(_name(one, key), str | int) for one in (*old, *new)):
        return [{"$patch": "replace"}, *deepcopy(new)]
    before = {_name(one, key): one for one in old}
    after = {_name(one, key): one for one in new}
    changed = [
        {key: name, **_difference(before.get(name, {}), one, path, keys)}
        for name, one in after.items()
        if not equal(before.get(name), one)
    ]
    return [*changed, *({"$patch": "delete", key: one} for one in before if one not in after)]


def equal(one: Any, other: Any) -> bool:
    """Tell whether JSON would say the same; to Python 1, 1.0 and True are equal."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return type(one) is type(other) and bool(one == other)


def _spelt(path: Path) -> str:
    return ".".join(path) or "the patch"
