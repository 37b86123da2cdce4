"""Lets a person tick which updates of a plan to release."""

from collections.abc import Callable, Mapping
from typing import Any

from fluxctl import tables
from fluxctl.errors import CommandError

Update = Mapping[str, str]

_HELP = "Numbers tick and untick; [Enter] releases what is ticked, q aborts: "


def choose(
    result: Mapping[str, Any],
    verbosity: int,
    *,
    ask: Callable[[str], str],
    show: Callable[[str], object],
) -> Mapping[str, list[Update]]:
    """
    Return the updates that are wanted, by workload; at first all are ticked.

    Raises:
        CommandError: there is nothing to choose, or nothing was chosen.
    """
    updates = [
        (name, update)
        for name, one in tables.visible(result, verbosity)
        for update in one.get("PerContainer") or ()
    ]
    if not updates:
        raise CommandError("No changes found.")
    ticked = [True] * len(updates)
    while True:
        show(_table(updates, ticked))
        answer = _asked(ask)
        if not answer:
            break
        for number in _numbers(answer, len(updates)):
            ticked[number] = not ticked[number]
    chosen: dict[str, list[Update]] = {}
    for (name, update), wanted in zip(updates, ticked, strict=True):
        if wanted:
            chosen.setdefault(name, []).append(update)
    if not chosen:
        raise CommandError("Aborted.")
    return chosen


def _asked(ask: Callable[[str], str]) -> str:
    try:
        answer = ask(_HELP).strip()
    except (EOFError, KeyboardInterrupt) as error:
        raise CommandError("Aborted.") from error
    if answer.lower() == "q":
        raise CommandError("Aborted.")
    return answer


def _numbers(answer: str, count: int) -> list[int]:
    words = answer.replace(",", " ").split()
    return [int(word) - 1 for word in words if word.isdecimal() and 0 < int(word) <= count]


def _table(updates: list[tuple[str, Update]], ticked: list[bool]) -> str:
    rows = [
        (f"{number}", "[x]" if wanted else "[ ]", name, tables.update(one))
        for number, ((name, one), wanted) in enumerate(zip(updates, ticked, strict=True), start=1)
    ]
    return tables.table(("", "", "WORKLOAD", "UPDATE"), rows)
