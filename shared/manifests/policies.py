"""
What the annotations of a workload ask of Flux: automated, locked, ignored, which tags.

The names are Flux v1's: `fluxcd.io/P`, the older `flux.weave.works/P`, and
`filter.fluxcd.io/C`, which is another spelling of `fluxcd.io/tag.C`. Where one policy stands
under several spellings, they win in this order: `fluxcd.io/`, `filter.fluxcd.io/`,
`flux.weave.works/`.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from shared.images import TagPolicy

PREFIX = "fluxcd.io/"
FILTER_PREFIX = "filter.fluxcd.io/"
LEGACY_PREFIX = "flux.weave.works/"

_TAG = "tag."
_EVERYTHING = "glob:*"
_SYNC_ONLY = "sync_only"
_MANNERS = {
    "ssa": ("override", "merge", "if-not-present", "ignore"),
    "force": ("enabled", "disabled"),
}
"""How an object may ask to be applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """The policies of one workload, by their names without prefix."""

    values: Mapping[str, str]
    """`automated`, `locked`, `locked_user`, `locked_msg`, `ignore`, `tag_all`, `tag.<c>`, and
    whatever else stands under our prefixes."""

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Self:
        """Read the policies of an object."""
        return cls.from_annotations(annotations(value))

    @classmethod
    def from_annotations(cls, found: Mapping[str, str]) -> Self:
        """Read policies from annotations; those of others are left out."""
        values: dict[str, str] = {}
        for prefix in (LEGACY_PREFIX, FILTER_PREFIX, PREFIX):
            for key, text in found.items():
                name = policy_name(key) if key.startswith(prefix) else None
                if name is not None:
                    values[name] = text
        return cls(values=values)

    @property
    def automated(self) -> bool:
        """Whether its images follow the registry."""
        return self._on("automated")

    @property
    def locked(self) -> bool:
        """Whether its images stay as they are."""
        return self._on("locked")

    @property
    def locked_user(self) -> str:
        """Who locked it; empty if nobody said so."""
        return self.values.get("locked_user", "")

    @property
    def locked_message(self) -> str:
        """Why it was locked; empty if nobody said so."""
        return self.values.get("locked_msg", "")

    @property
    def ignored(self) -> bool:
        """Whether Flux neither applies nor prunes it."""
        return self._on("ignore")

    @property
    def sync_only(self) -> bool:
        """Whether Flux applies it, but never prunes it."""
        return self.values.get("ignore") == _SYNC_ONLY

    @property
    def ssa(self) -> str:
        """How it is applied where others have set fields of it."""
        return self.values.get("ssa", "override")

    @property
    def forced(self) -> bool:
        """Whether it may be deleted and created where it can't be changed."""
        return self.values.get("force") == "enabled"

    @property
    def unapplied(self) -> bool:
        """Whether Flux neither applies nor prunes it, by whichever annotation."""
        return self.ignored or self.ssa == "ignore"

    @property
    def manner_problem(self) -> str:
        """What is wrong with how it asks to be applied, in a sentence; empty for nothing."""
        return next(
            (
                # Without its value: that may come from an encrypted file.
                f"{PREFIX}{name} must be one of {', '.join(known)}"
                for name, known in _MANNERS.items()
                if self.values.get(name, known[0]) not in known
            ),
            "",
        )

    def tag_pattern(self, container: str) -> str:
        """Return the pattern for a container as written; `glob:*` if there is none."""
        default = self.values.get("tag_all", _EVERYTHING)
        return self.values.get(_TAG + container, default)

    def tag_policy(self, container: str) -> TagPolicy:
        """Return the pattern for a container, read."""
        return TagPolicy.parse(self.tag_pattern(container))

    def problems(self, containers: Iterable[str]) -> tuple[str, ...]:
        """Return a sentence for each invalid pattern of *containers*."""
        found = (self.tag_policy(name).problem for name in containers)
        return tuple(dict.fromkeys(problem for problem in found if problem))

    def digest(self) -> str:
        """Return a fingerprint: the same for equal policies, however they are spelt."""
        text = json.dumps(sorted(self.values.items()), ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def _on(self, name: str) -> bool:
        return self.values.get(name) == "true"


def annotations(value: Mapping[str, Any]) -> dict[str, str]:
    """
    Return the annotations of an object that are strings.

    Others (an unquoted `true`) are refused by Kubernetes, and mean nothing here.
    """
    metadata = value.get("metadata")
    found = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    if not isinstance(found, Mapping):
        return {}
    return {key: text for key, text in found.items() if isinstance(text, str)}


def policy_name(key: str) -> str | None:
    """Return the policy that an annotation's key means; None if it is not one of ours."""
    if key.startswith(FILTER_PREFIX):
        return _TAG + key.removeprefix(FILTER_PREFIX)
    for prefix in (PREFIX, LEGACY_PREFIX):
        if key.startswith(prefix):
            return key.removeprefix(prefix)
    return None


def spellings(policy: str) -> tuple[str, ...]:
    """Return the keys that a policy may stand under, the strongest first."""
    keys = [PREFIX + policy, LEGACY_PREFIX + policy]
    if policy.startswith(_TAG):
        keys.insert(1, FILTER_PREFIX + policy.removeprefix(_TAG))
    return tuple(keys)


def spelling_like(policy: str, *neighbours: Collection[str]) -> str:
    """
    Return the key for a new *policy*, in the spelling that people have used.

    The first of *neighbours*, the keys of annotations, among which are some of ours decides.
    """
    for keys in neighbours:
        used = {
            one
            for one in (PREFIX, FILTER_PREFIX, LEGACY_PREFIX)
            for key in keys
            if key.startswith(one)
        }
        if policy.startswith(_TAG) and FILTER_PREFIX in used:
            return FILTER_PREFIX + policy.removeprefix(_TAG)
        if LEGACY_PREFIX in used and PREFIX not in used:
            return LEGACY_PREFIX + policy
        if used:
            break
    return PREFIX + policy
