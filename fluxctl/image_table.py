"""The rows of `list-images`: newer tags, the current one, older ones."""

import time
from collections.abc import Iterable
from datetime import datetime

from fluxctl.references import parts
from fluxctl.tables import Found, Row


def rows(found: Iterable[Found], limit: int) -> list[Row]:
    """Return the rows of images; of each at most *limit* tags and the current one, 0 for all."""
    shown: list[Row] = []
    for one in found:
        name = str(one["ID"])
        containers = one.get("Containers") or ()
        if not containers:
            shown.append((name, "", "", ""))
        for container in containers:
            shown += _container(name, container, limit)
            name = ""
    return shown


def _container(name: str, container: Found, limit: int) -> list[Row]:
    current = str((container.get("Current") or {}).get("ID") or "")
    repository, tag = parts(current)
    available, held = container.get("Available") or (), container.get("Held") or {}
    why = "" if available else container.get("AvailableError") or "image data not available"
    shown: list[Row] = [(name, str(container.get("Name") or ""), repository, why)]
    met = False
    for number, image in enumerate(available):
        reference = str(image.get("ID") or "")
        one = parts(reference)[1]
        mark = "'->" if one == tag else "   " if met else "|  "
        met = met or one == tag
        if limit and number >= limit:
            # Beyond the limit the current image alone is shown, and must be spelt the same.
            if reference != current:
                continue
            if number > limit:
                shown.append(("", "", f": ({number - limit} image(s) omitted)", ""))
        kept = f" (held: {held.get('Reason') or 'not again'})" if one == held.get("Tag") else ""
        shown.append(("", "", f"{mark} {one}{kept}", moment(image.get("CreatedAt"))))
    if not met:
        shown.append(("", "", f"'-> {tag or '(untagged)'}", "?"))
    return shown


def moment(text: str | None) -> str:
    """Return a time as it was told, in its own zone."""
    if not text:
        return ""
    told = datetime.fromisoformat(text)
    return "" if told.year == 1 else f"{told:%d %b %y %H:%M} {_zone(text, told)}"


def _zone(text: str, told: datetime) -> str:
    """Return the name of a zone: of ours, if it has that offset then; else the offset."""
    if text.endswith("Z"):
        return "UTC"
    ours = time.localtime(told.timestamp())
    offset = told.utcoffset()
    if offset is not None and offset.total_seconds() == ours.tm_gmtoff:
        return ours.tm_zone
    return f"{told:%z}"
