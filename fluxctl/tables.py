"""What is shown: tables whose columns line up, as Flux v1's fluxctl prints them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fluxctl.references import parts, written

Row = Sequence[str]
Found = Mapping[str, Any]

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


def by_id(found: Iterable[Found] | None) -> list[Found] | None:
    """Return items in the order of their ids."""
    return None if found is None else sorted(found, key=lambda one: str(one["ID"]))


def has_container(one: Found, name: str) -> bool:
    """Tell whether a workload has a container of that name."""
    return any(container.get("Name") == name for container in one.get("Containers") or ())


def workloads(found: Iterable[Found]) -> list[Row]:
    """Return the rows of list-workloads."""
    rows: list[Row] = []
    for one in found:
        policies = ",".join(p.lower() for p in _POLICIES if one.get(p))
        shown = [
            (str(c.get("Name") or ""), written((c.get("Current") or {}).get("ID") or ""))
            for c in one.get("Containers") or ()
        ]
        first, *others = shown or [("", "")]
        rows.append((one["ID"], *first, one.get("Status") or "", policies))
        rows += [("", *other, "", "") for other in others]
    return rows


def rollout(one: Found, *, verbose: bool) -> str:
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


def visible(result: Found, verbosity: int) -> list[tuple[str, Found]]:
    """Return the results that are shown: skipped ones from `-v` on, ignored ones from `-vv` on."""
    hidden = {0: {"skipped", "ignored"}, 1: {"ignored"}}.get(verbosity, set())
    return [(name, one) for name, one in sorted(result.items()) if one.get("Status") not in hidden]


def update(one: Found) -> str:
    """Return what becomes of one container."""
    current, target = written(one.get("Current") or ""), parts(one.get("Target") or "")[1]
    return f"{one.get('Container', '')}: {current} -> {target}"


def results(result: Found, verbosity: int) -> str:
    """Return what an update meant, workload by workload."""
    rows: list[Row] = []
    for name, one in visible(result, verbosity):
        lines = [one["Error"]] if one.get("Error") else []
        lines += [update(change) for change in one.get("PerContainer") or ()]
        first, *others = lines or [""]
        rows.append((name, one.get("Status") or "", first))
        rows += [("", "", other) for other in others]
    return table(("WORKLOAD", "STATUS", "UPDATES"), rows, minimum=(9, 7))


def syncs(found: Iterable[Found]) -> str:
    """Return how far each sync is."""
    rows = [
        (one["name"], one["branch"], one["declared"][:7], one["applied"][:7], _state(one))
        for one in found
    ]
    return table(("SYNC", "BRANCH", "DECLARED", "APPLIED", "STATE"), rows)


def problems(found: Iterable[Found]) -> list[str]:
    """Return a line for everything that is wrong with syncs."""
    lines = []
    for one in found:
        for problem in one["problems"]:
            place = ":".join(str(part) for part in (problem["file"], problem["line"]) if part)
            lines.append(f"{place}: {problem['message']}")
        lines += [f"{name}: {message}" for name, message in one["failed"].items()]
        lines += [f"{one['name']}: {one['error']}"] if one["error"] else []
        lines += [f"{name}: not ready: {why}" for name, why in one.get("unhealthy", {}).items()]
        lines += [held(one)] if one.get("held") else []
        if one["prune_reason"]:
            lines.append(not_pruned(one))
    return lines


def held(one: Found) -> str:
    """Return why a sync is not applied now."""
    return f"{one['name']}: {one['held']}"


def not_pruned(one: Found) -> str:
    """Return why a sync deletes nothing."""
    return f"{one['name']}: nothing is pruned: {one['prune_reason']}"


def down(found: Sequence[Found]) -> list[str]:
    """Return a line for each dependency that is away."""
    away = found[0]["dependencies_down"] if found else {}
    return [f"{name}: {reason}" for name, reason in away.items()]


def _state(one: Found) -> str:
    if one["error"]:
        return "failed"
    if one.get("held"):
        return "held"
    if not one["declared"]:
        return "nothing declared yet"
    wrong = len(one["problems"]) + len(one["failed"])
    behind = one["declared"] != one["applied"]
    state = "applying" if behind else "applied"
    return f"{state}, {wrong} problem(s)" if wrong else state
