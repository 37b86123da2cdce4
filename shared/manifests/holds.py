"""
Tags that a workload is kept from: somebody went back from them.

They stand in one annotation, `fluxcd.io/held`, whose text people can read and write:
`main: 1.2.0 (reverted in 1a2b3c4); side: 7`. Only newer tags end a hold by themselves, since only
those are chosen instead; a person ends it by taking the annotation away.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from shared.manifests.policies import Policies

HELD = "held"
"""The policy's name."""

_HOLD = re.compile(r"(?P<container>[^\s:;]+):\s*(?P<tag>[^\s;()]+)\s*(?:\((?P<reason>[^;]*)\))?")
# What would end a reason, or a line.
_UNSAFE = re.compile("[;()\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A tag that is not written to a container again, and why."""

    tag: str
    reason: str = ""


def holds(policies: Policies) -> dict[str, Hold]:
    """Return what is held, by container; what can't be read holds nothing."""
    found = {}
    for part in policies.values.get(HELD, "").split(";"):
        one = _HOLD.fullmatch(part.strip())
        if one:
            reason = (one["reason"] or "").strip()
            found[unquote(one["container"])] = Hold(tag=one["tag"], reason=reason)
    return found


def spelt(found: Mapping[str, Hold]) -> str:
    """Return the text of the annotation; empty where nothing is held."""
    return "; ".join(_spelt(container, one) for container, one in sorted(found.items()))


def _spelt(container: str, one: Hold) -> str:
    reason = " ".join(_UNSAFE.sub(" ", one.reason).split())[:200]
    return f"{quote(container, safe='')}: {one.tag}" + (f" ({reason})" if reason else "")
