"""The command for dead letters: list, show, replay, drop."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Mapping
from typing import Any

from fluxctl import tables
from fluxctl.client import Client, understood
from fluxctl.errors import CommandError
from fluxctl.waiting import tell

_HEADER = ("ID", "TYPE", "SUBJECT", "TRIES", "BURIED", "REASON")
_LONGEST = 80
"""Characters of a reason that a row shows; `show` tells all."""
LISTED = 1_000
"""Letters that the gateway lists at once."""
_FILTERS = ("type", "queue", "subject", "reason")


def dead_letters(client: Client, args: Namespace) -> None:
    """Show what could not be worked on and why; replay or drop it."""
    if args.action in {"list", "show"}:
        found = _found(client, args)
        _print(found, args)
        if len(found) >= LISTED:
            tell(f"Only the oldest {LISTED} are shown; filters show others.")
        return
    if not args.id and not _filters(args) and not args.all:
        raise CommandError(f"name letters by their ids or by filters to {args.action}, or --all")
    done = [one for query in _queries(args) for one in _act(client, args, query)]
    _print(done, args, whole=False)
    failed = [one for one in done if one.get("error")]
    what = "replayed" if args.action == "replay" else "dropped"
    tell(f"{len(done) - len(failed)} dead letter(s) {what}.")
    if failed:
        why = "\n".join(f"{one['id']}: {one['error']}" for one in failed)
        raise CommandError(f"{len(failed)} stay:\n{why}")


def add_options(parser: ArgumentParser) -> None:
    """Add what may be typed behind the command."""
    actions = ("list", "show", "replay", "drop")
    parser.add_argument("action", nargs="?", choices=actions, default="list")
    parser.add_argument("id", nargs="*", help="of letters, as the list shows them")
    parser.add_argument("--type", help="of the message, like images.found.v1")
    parser.add_argument("--queue", help="where it was worked on, like repo-writer.7")
    parser.add_argument("--subject", help="what it is about")
    parser.add_argument("--reason", help="a part of the reason")
    parser.add_argument("--all", action="store_true", help="replay or drop whatever there is")
    parser.add_argument("-o", "--output", choices=("tab", "json"), default="tab")
    parser.add_argument("--user", help="who does it; default: git's user")


def _queries(args: Namespace) -> Iterable[Mapping[str, str]]:
    filters = _filters(args)
    return [{**filters, "id": one} for one in args.id] or [filters]


def _filters(args: Namespace) -> Mapping[str, str]:
    return {name: value for name in _FILTERS if (value := getattr(args, name))}


def _found(client: Client, args: Namespace) -> list[Mapping[str, Any]]:
    return [one for query in _queries(args) for one in client.get_new("dead-letters", **query)]


def _act(client: Client, args: Namespace, query: Mapping[str, str]) -> Iterable[Mapping[str, Any]]:
    everything = {"all": "true"} if args.all else {}
    query = {**query, **everything, "by": args.user or ""}
    found: list[Mapping[str, Any]] = client.post_new(f"dead-letters/{args.action}", **query)
    return found


def _print(found: list[Mapping[str, Any]], args: Namespace, *, whole: bool = True) -> None:
    if args.output == "json":
        print(json.dumps(found))
        return
    with understood():
        if args.action == "show" and whole:
            text = "\n".join(_letter(one) for one in found)
        else:
            text = tables.table(_HEADER, [_row(one) for one in found])
    print(text, end="")


def _row(one: Mapping[str, Any]) -> tables.Row:
    reason = " ".join(one["reason"].split())
    short = reason if len(reason) <= _LONGEST else f"{reason[: _LONGEST - 1]}…"
    kind = one["type"] or "(unreadable)"
    return (one["id"], kind, one["subject"], str(one["tries"]), one["buried"][:19], short)


def _letter(one: Mapping[str, Any]) -> str:
    """Return everything about a letter."""
    names = ("id", "type", "subject", "queue", "source", "tries", "first", "buried", "reason")
    lines = [f"{name}:".ljust(10) + str(one[name]) for name in names]
    data = json.dumps(one["data"], indent=2, ensure_ascii=False)
    trace = ["trace:", *(f"  {line}" for line in one["trace"].splitlines())]
    return "\n".join([*lines, f"data ({one['size']} bytes):", data, *trace, ""])
