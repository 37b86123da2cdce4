"""
Which tag a policy prefers to the declared one, and for every other tag why not.

The order is Flux v1's: versions descending, or creation times descending. Unlike v1 the
choice never goes below what is declared: a tag must be newer, not merely another one. The
exception is a declared tag that its own policy does not match: then one of the two has been
edited by a person, and the newest matching tag is what they ask for.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from shared.images.policy import TagPolicy
from shared.images.reference import ImageRef
from shared.images.semver import Version

_OLDEST = datetime.min.replace(tzinfo=UTC)


class Reason(StrEnum):
    """Why a tag was, or was not, chosen. The list is closed."""

    CHOSEN = "chosen"
    CURRENT = "current"
    """It is the declared one."""
    NOT_NEWEST = "not-newest"
    """Newer than the declared one, but another one is newer still."""
    SAME_AGE = "same-age"
    """Created at the same time as the declared one: no reason to change."""
    OLDER = "older"
    """Older than the declared one, or a lower version."""
    NO_MATCH = "no-match"
    LATEST = "latest"
    """`latest` must be asked for by `glob:latest`."""
    NOT_A_VERSION = "not-a-version"
    NO_CREATION_TIME = "no-creation-time"
    INVALID_POLICY = "invalid-policy"
    CURRENT_UNKNOWN = "current-unknown"
    """The age of the declared tag is not known, so nothing can be said to be newer."""
    UNTAGGED = "untagged"
    """The declared image has no tag to compare creation times with."""
    PINNED = "pinned"
    """The declared image is pinned by a digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A tag that the registry has."""

    tag: str
    created: datetime | None = None
    """With a time zone. Go's zero time (year 1) counts as unknown."""
    digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What became of each tag. Truth value: whether there is something to change to."""

    chosen: Candidate | None
    reasons: Mapping[str, Reason]
    """For every candidate's tag exactly one."""
    why: str
    """A sentence: `semver:~1.0 prefers 1.0.3 to 1.0.1`."""

    def __bool__(self) -> bool:
        return self.chosen is not None

    @property
    def tag(self) -> str | None:
        """The chosen tag."""
        return self.chosen.tag if self.chosen else None


def choose(
    candidates: Iterable[Candidate],
    policy: TagPolicy,
    current: ImageRef,
    *,
    current_created: datetime | None = None,
) -> Choice:
    """
    Choose the tag that *policy* prefers to the one of *current*.

    *current_created* helps where the declared tag is no longer among the *candidates*. That
    the candidates are all there are is for the caller to know: from a part of a list a tag
    may be chosen that is not the newest, but never one that is older than the declared one.
    """
    tags = {one.tag: one for one in candidates}
    reasons = {tag: _first_look(one, policy, current) for tag, one in tags.items()}
    created = _created(tags.get(current.tag or "")) or current_created
    verdict = _comparison(policy, current, created)
    newer = []
    for tag, reason in reasons.items():
        if reason is None:
            reasons[tag] = verdict(tags[tag])
            if reasons[tag] is Reason.NOT_NEWEST:
                newer.append(tags[tag])
    best = _newest_first(newer, policy)[0] if newer else None
    if best:
        reasons[best.tag] = Reason.CHOSEN
    settled = {tag: reason for tag, reason in reasons.items() if reason is not None}
    why = _sentence(best, policy, current, set(settled.values()))
    return Choice(chosen=best, reasons=settled, why=why)


def ranked(candidates: Iterable[Candidate], policy: TagPolicy) -> tuple[Candidate, ...]:
    """
    Return the candidates that *policy* matches, the preferred one first.

    Those without a creation time come last where the policy orders by it.
    """
    return tuple(_newest_first([one for one in candidates if policy.matches(one.tag)], policy))


def _first_look(one: Candidate, policy: TagPolicy, current: ImageRef) -> Reason | None:
    """Judge a tag by itself; None if it deserves a comparison."""
    if one.tag == current.tag:
        return Reason.CURRENT
    if not policy.valid:
        return Reason.INVALID_POLICY
    if not policy.matches(one.tag):
        return _mismatch(one.tag, policy)
    if policy.needs_created and _created(one) is None:
        return Reason.NO_CREATION_TIME
    return None


def _mismatch(tag: str, policy: TagPolicy) -> Reason:
    if tag.lower() == "latest":
        return Reason.LATEST
    if not policy.needs_created and Version.parse(tag) is None:
        return Reason.NOT_A_VERSION
    return Reason.NO_MATCH


def _comparison(
    policy: TagPolicy, current: ImageRef, created: datetime | None
) -> Callable[[Candidate], Reason]:
    """Return what compares a matching tag with the declared one: NOT_NEWEST if it is newer."""
    if current.pinned:
        return lambda _: Reason.PINNED
    if current.tag is None:
        reason = Reason.UNTAGGED if policy.needs_created else Reason.NOT_NEWEST
        return lambda _: reason
    if not policy.matches(current.tag):
        return lambda _: Reason.NOT_NEWEST
    if policy.needs_created:
        return lambda one: _by_age(_created(one), created)
    declared = _version_key(current.tag)
    return lambda one: Reason.NOT_NEWEST if _version_key(one.tag) > declared else Reason.OLDER


def _by_age(age: datetime | None, declared: datetime | None) -> Reason:
    if age is None or declared is None:
        return Reason.CURRENT_UNKNOWN
    if age == declared:
        return Reason.SAME_AGE
    return Reason.NOT_NEWEST if age > declared else Reason.OLDER


def _newest_first(candidates: list[Candidate], policy: TagPolicy) -> list[Candidate]:
    if not policy.needs_created:
        return sorted(candidates, key=lambda one: _version_key(one.tag), reverse=True)
    # Sorting is stable: of one creation time the smallest tag comes first, as in Flux v1.
    by_tag = sorted(candidates, key=lambda one: one.tag)
    return sorted(by_tag, key=lambda one: _created(one) or _OLDEST, reverse=True)


def _version_key(tag: str) -> tuple[Any, ...]:
    """`1.10.0` and `1.10` are one version; Flux v1 takes the lexically larger tag."""
    version = Version.parse(tag)
    return (version.key, tag) if version else ((-1,), tag)


def _created(one: Candidate | None) -> datetime | None:
    if one is None or one.created is None or one.created.year == 1:
        return None
    return one.created


def _sentence(
    best: Candidate | None, policy: TagPolicy, current: ImageRef, seen: set[Reason]
) -> str:
    declared = current.tag or (current.digest if current.pinned else "no tag")
    if best:
        return f"{policy} prefers {best.tag} to {declared}"
    if policy.problem:
        return policy.problem
    causes = {
        Reason.PINNED: f"{current} is pinned by its digest",
        Reason.UNTAGGED: f"{current} has no tag to compare creation times with",
        Reason.CURRENT_UNKNOWN: f"the creation time of {current} is not known",
    }
    for reason, sentence in causes.items():
        if reason in seen:
            return f"{sentence}, so it is left as it is"
    if seen & {Reason.OLDER, Reason.SAME_AGE, Reason.CURRENT}:
        return f"{policy} finds nothing newer than {declared}"
    if Reason.NO_CREATION_TIME in seen:
        return f"no tag that {policy} matches has a creation time"
    return f"{policy} matches no tag"
