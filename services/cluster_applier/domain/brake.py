"""Holds a push that takes too much away, until a person has confirmed it."""

ALLOW = "`fluxctl sync --allow-prune` lets them go"


def reason_to_hold(gone: int, before: int, *, declared: int, limit: float) -> str:
    """
    Return why *gone* objects of those that were there *before* may not go yet; empty if they may.

    *declared*: what is left in git; *limit*: the share that may go unasked.
    """
    if not gone:
        return ""
    if gone >= before or not declared:
        much = f"everything ({gone} object{'s' if gone > 1 else ''})"
    elif gone > limit * before:
        much = f"{gone} of {before} objects, and {limit:.0%} at most go unasked"
    else:
        return ""
    return f"this revision takes away {much}; {ALLOW}"
