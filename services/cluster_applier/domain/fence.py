"""
Whether a bundle may be applied over what was applied before.

Two appliers may be active for seconds after a silent cut, and messages may be old: the header tells
how the bundle's revision relates to the one in the inventory.
"""

from enum import StrEnum

from services.cluster_applier.domain.inventory import Inventory
from shared.bundle.format import Header


class Verdict(StrEnum):
    """What may be done with a bundle."""

    GO = "go"
    KEEP = "keep"
    """Apply, and delete nothing: it is not certain to be newer."""
    STALE = "stale"
    """Drop it: it is older than what was applied."""


def judge(header: Header, inventory: Inventory) -> Verdict:
    """Return what may be done with the bundle of *header*."""
    if inventory.repository not in {"", header.repository}:
        # Somebody gave the sync another repository: heights of two histories can't be compared.
        return Verdict.KEEP if header.generation >= inventory.generation else Verdict.STALE
    if not inventory.revision or inventory.revision in {header.revision, *header.ancestors}:
        return Verdict.GO if header.generation >= inventory.generation else Verdict.STALE
    if header.rewritten:
        return Verdict.GO
    if header.height < inventory.height:
        return Verdict.STALE
    return Verdict.KEEP
