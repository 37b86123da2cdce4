"""Whether more of what was found is on its way."""

from collections.abc import Sequence

from shared.contract import Envelope, ImagesFound


def more(found: Sequence[Envelope]) -> bool:
    """
    Tell whether a scanner goes on with scans of a cause that it has found something of.

    Its messages may overtake each other: once it has said that none is left, none is.
    """
    left: dict[tuple[str, str], int] = {}
    for one in found:
        if isinstance(one.message, ImagesFound):
            key = one.source, one.correlationid
            left[key] = min(one.message.under_way, left.get(key, one.message.under_way))
    return any(left.values())
