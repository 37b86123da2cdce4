"""
Who owns which field: ``metadata.managedFields``, and what a write does to it.

Pure: an object goes in, with the manifest or the new state; an object comes out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sandbox.emulator.answers import ApiError, conflicts
from sandbox.emulator.compare import Changes, compare
from sandbox.emulator.fields import Fields, Path, decode, describe, encode, field_set, with_parents
from sandbox.emulator.merge import merge, without
from sandbox.emulator.shapes import Shape

Object = Mapping[str, Any]

# Nobody owns these: they say which object it is, or the server sets them.
_NOBODYS: frozenset[Path] = frozenset(
    {("f:apiVersion",), ("f:kind",), ("f:metadata",)}
    | {
        ("f:metadata", f"f:{name}")
        for name in (
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "generation",
            "managedFields",
            "resourceVersion",
        )
    }
)


@dataclass(frozen=True, slots=True, order=True)
class Owner:
    """Who wrote, in which way."""

    operation: Literal["Apply", "Update"]
    manager: str
    version: str
    subresource: str = ""

    def __str__(self) -> str:
        """Tell who it is, as conflicts do."""
        if self.operation == "Apply":
            return f'"{self.manager}"'
        part = f' with subresource "{self.subresource}"' if self.subresource else ""
        return f'"{self.manager}"{part} using {self.version}'


@dataclass(frozen=True, slots=True)
class Claim:
    """What an owner owns, and since when."""

    fields: Fields
    time: str


Claims = dict[Owner, Claim]


def claims_of(obj: Object) -> Claims:
    """Read the claims on *obj*."""
    return {
        Owner(
            operation=entry["operation"],
            manager=entry.get("manager", ""),
            version=entry.get("apiVersion", ""),
            subresource=entry.get("subresource", ""),
        ): Claim(decode(entry.get("fieldsV1", {})), entry.get("time", now()))
        for entry in obj.get("metadata", {}).get("managedFields", ())
        if entry.get("operation") in ("Apply", "Update")
    }


def with_claims(obj: Object, claims: Claims) -> dict[str, Any]:
    """Return *obj* with *claims* written into it."""
    ordered = sorted(claims.items(), key=lambda item: (item[0].operation, item[1].time, item[0]))
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    if written := [_entry(owner, claim) for owner, claim in ordered if claim.fields]:
        metadata["managedFields"] = written
    return {**obj, "metadata": metadata}


def _entry(owner: Owner, claim: Claim) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "manager": owner.manager,
        "operation": owner.operation,
        "apiVersion": owner.version,
        "time": claim.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": encode(claim.fields),
    }
    return entry | ({"subresource": owner.subresource} if owner.subresource else {})


def apply(
    live: Object, applied: Object, shape: Shape, owner: Owner, *, force: bool
) -> dict[str, Any]:
    """
    Return *live* after the server-side apply of *applied* by *owner*.

    Raises:
        ApiError: others own fields that it would change, and it does not *force*.
        DuplicateError: a list in *applied* has two items with the same key.
    """
    claims = claims_of(live)
    last = claims[owner].fields if owner in claims else frozenset()
    said = field_set(applied, shape)
    wanted = said - _NOBODYS
    merged = merge(live, applied, shape)
    others = [claim.fields for other, claim in claims.items() if other != owner]
    merged = _pruned(merged, last, [said, *others], shape)
    changes = compare(live, merged, shape)
    claims = _taken(claims, changes, owner, force=force)
    changed = last != wanted or changes.modified | changes.added | changes.removed
    time = now() if changed or owner not in claims else claims[owner].time
    claims[owner] = Claim(wanted, time)
    return with_claims(merged, claims)


def update(live: Object, new: Object, shape: Shape, owner: Owner) -> dict[str, Any]:
    """Return *new*, which replaces *live*, with the changed fields claimed by *owner*."""
    said = new.get("metadata", {}).get("managedFields")
    claims = claims_of(live if said is None else new)
    changes = compare(live, new, shape)
    claims = _taken(claims, changes, owner, force=True)
    mine = claims[owner].fields if owner in claims else frozenset()
    wanted = ((mine - changes.removed) | changes.modified | changes.added) - _NOBODYS
    if wanted != mine:
        claims[owner] = Claim(wanted, now())
    return with_claims(new, claims)


def _pruned(merged: Any, last: Fields, claimed: Iterable[Fields], shape: Shape) -> Any:
    """Take out what its owner has dropped and nobody else claims."""
    held = frozenset().union(*claimed)
    if last <= held:
        return merged
    return without(merged, with_parents(last, shape) - with_parents(held, shape), shape)


def _taken(claims: Claims, changes: Changes, owner: Owner, *, force: bool) -> Claims:
    """Take the changed fields from everybody but *owner*."""
    changed = changes.modified | changes.added
    rivals = {
        other: changed & claim.fields
        for other, claim in claims.items()
        if other != owner and changed & claim.fields
    }
    if rivals and not force:
        raise _refused(rivals)
    return {
        other: claim
        if other == owner
        else Claim(claim.fields - changed - changes.removed, claim.time)
        for other, claim in claims.items()
    }


def _refused(rivals: Mapping[Owner, set[Path] | frozenset[Path]]) -> ApiError:
    return conflicts(
        [(str(rival), describe(path)) for rival in sorted(rivals) for path in sorted(rivals[rival])]
    )


def now() -> str:
    """Return the time as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
