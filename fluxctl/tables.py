"""What is shown: tables whose columns line up, as Flux v1's fluxctl prints them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

Row = Sequence[str]

_POLICIES = ("Automated", "Ignore", "Locked")


def table(header: Row | None, rows: Iterable[Row], minimum: Sequence[int] = ()) -> str:
    """Return columns with two spaces between them; the last one is not padded."""
    lines = [*([header] if header else []), *rows]
    if not lines:
        return ""
    widths = [max(len(line[n]) for line in lines) for n in range(len(lines[0]))]
    for n, least in enumerate(minimum):
        widths[n] = max(widths[n], least)
    return "".join(
        "  ".join([*(cell.ljust(widths[n]) for n, cell in enumerate(line[:-1])), line[-1]]) + "\n"
        for line in lines
    )


def workloads(found: Iterable[Mapping[str, Any]], container: str = "") -> list[Row]:
    """Return the rows of list-workloads."""
    rows: list[Row] = []
    for one in sorted(found, key=lambda item: str(item["ID"])):
        policies = ",".join(p.lower() for p in _POLICIES if one.get(p))
        shown = [
            (str(c.get("Name", "")), str((c.get("Current") or {}).get("ID", "")))
            for c in one.get("Containers") or ()
            if not container or c.get("Name") == container
        ]
        if container and not shown:
            continue
        first, *others = shown or [("", "")]
        rows.append((one["ID"], *first, one.get("Status", ""), policies))
        rows += [("", *other, "", "") for other in others]
    return rows


def rollout(one: Mapping[str, Any], *, verbose: bool) -> str:
    """Return the table of a workload whose rollout is watched."""
    progress = one.get("Rollout") or {}
    replicas = f"{progress.get('Updated', 0)}/{progress.get('Desired', 0)}"
    if verbose:
        outdated, ready = progress.get("Outdated", 0), progress.get("Ready", 0)
        replicas += f" ({outdated} outdated, {ready} ready)"
    rows = [
        (*row[:4], replicas if number == 0 else "") for number, row in enumerate(workloads([one]))
    ]
    return table(("WORKLOAD", "CONTAINER", "IMAGE", "RELEASE", "REPLICAS"), rows)


def images(found: Iterable[Mapping[str, Any]], limit: int) -> list[Row]:
    """Return the rows of list-images: newer tags, the current one, older ones."""
    rows: list[Row] = []
    for one in sorted(found, key=lambda item: str(item["ID"])):
        name = str(one["ID"])
        containers = one.get("Containers") or ()
        if not containers:
            rows.append((name, "", "", ""))
        for container in containers:
            rows += _container(name, container, limit)
            name = ""
    return rows


def _container(name: str, container: Mapping[str, Any], limit: int) -> list[Row]:
    current = (container.get("Current") or {}).get("ID", "")
    repository, tag = _split(current)
    available = container.get("Available") or ()
    created = "" if available else container.get("AvailableError") or "image data not available"
    rows: list[Row] = [(name, str(container.get("Name", "")), repository, created)]
    tags = [(_split(image["ID"])[1], _moment(image.get("CreatedAt"))) for image in available]
    names = [one for one, _ in tags]
    place = names.index(tag) if tag in names else None
    shown = tags[:limit] if limit else tags
    for number, (one, age) in enumerate(shown):
        before = place is None or number < place
        mark = "'->" if number == place else "|  " if before else "   "
        rows.append(("", "", f"{mark} {one}", age))
    if place is None:
        rows.append(("", "", f"'-> {tag or '(untagged)'}", "?"))
    elif limit and place >= limit:
        rows.append(("", "", f":   ({place - limit} image(s) omitted)", ""))
        rows.append(("", "", f"'-> {tag}", tags[place][1]))
    return rows


def results(result: Mapping[str, Any], verbosity: int) -> str:
    """Return what an update meant, workload by workload."""
    hidden = {0: {"skipped", "ignored"}, 1: {"ignored"}}.get(verbosity, set())
    rows: list[Row] = []
    for name, one in sorted(result.items()):
        if one["Status"] in hidden:
            continue
        lines = [one["Error"]] if one.get("Error") else []
        lines += [
            f"{c['Container']}: {c['Current']} -> {_split(c['Target'])[1]}"
            for c in one.get("PerContainer") or ()
        ]
        first, *others = lines or [""]
        rows.append((name, one["Status"], first))
        rows += [("", "", other) for other in others]
    return table(("WORKLOAD", "STATUS", "UPDATES"), rows, minimum=(9, 7))


def syncs(found: Iterable[Mapping[str, Any]]) -> str:
    """Return how far each sync is."""
    rows = [
        (one["name"], one["branch"], one["declared"][:7], one["applied"][:7], _state(one))
        for one in found
    ]
    return table(("SYNC", "BRANCH", "DECLARED", "APPLIED", "STATE"), rows)


def problems(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a line for everything that is wrong with syncs."""
    lines = []
    for one in found:
        for problem in one["problems"]:
            place = ":".join(str(part) for part in (problem["file"], problem["line"]) if part)
            lines.append(f"{place}: {problem['message']}")
        lines += [f"{name}: {message}" for name, message in one["failed"].items()]
        lines += [f"{one['name']}: {one['error']}"] if one["error"] else []
        if one["prune_reason"]:
            lines.append(f"{one['name']}: nothing is pruned: {one['prune_reason']}")
    return lines


def down(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each dependency that is away."""
    away = found[0]["dependencies_down"] if found else {}
    return [f"{name}: {reason}" for name, reason in away.items()]


def _state(one: Mapping[str, Any]) -> str:
    if one["error"]:
        return "failed"
    wrong = len(one["problems"]) + len(one["failed"])
    behind = one["declared"] != one["applied"]
    state = "applying" if behind else "applied"
    return f"{state}, {wrong} problem(s)" if wrong else state


def _split(image: str) -> tuple[str, str]:
    """Return an image without its tag, and the tag."""
    colon = image.rfind(":")
    if colon <= image.rfind("/") or "@" in image:
        return image, ""
    return image[:colon], image[colon + 1 :]


def _moment(text: str | None) -> str:
    if not text:
        return ""
    return datetime.fromisoformat(text).strftime("%d %b %y %H:%M UTC")
