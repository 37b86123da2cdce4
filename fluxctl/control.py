"""Commands for one sync: suspend, resume, diff."""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from fluxctl import waiting, wire
from fluxctl.client import Client, understood
from fluxctl.waiting import tell

_COLOURS = {"+": "\033[32m", "-": "\033[31m", "@": "\033[36m"}
_BOLD, _PLAIN = "\033[1m", "\033[0m"


def suspend(client: Client, args: Namespace) -> None:
    """Leave a sync's cluster as it is until it is resumed."""
    _order(client, args, "suspend")
    tell(f"{args.sync} is suspended: nothing of it is applied, put back or pruned.")


def resume(client: Client, args: Namespace) -> None:
    """Let a suspended sync go on."""
    _order(client, args, "resume")
    tell(f"{args.sync} goes on.")


def diff(client: Client, args: Namespace) -> None:
    """Show what applying a sync would change now; values of Secrets are left out."""
    found = client.get_new(f"syncs/{quote(args.sync, safe='')}/diff")
    if args.output == "json":
        print(wire.line(found))
        return
    with understood():
        for line in _lines(found, coloured=_shows_colours()):
            print(line)
        if not found["objects"]:
            tell(f"{args.sync} is as git declares it at {found['revision'][:7]}.")
        if found["left_off"]:
            tell(f"{found['left_off']} more objects differ, and are not shown.")


def add_sync(parser: ArgumentParser) -> None:
    """Add what may be typed behind suspend and resume."""
    parser.add_argument("sync", help="its name, as `fluxctl syncs` shows it")
    parser.add_argument("-m", "--message", default="", help="why, for those who wonder")
    parser.add_argument("--user", help="who does it; default: git's user")


def add_diff(parser: ArgumentParser) -> None:
    """Add what may be typed behind diff."""
    parser.add_argument("sync", help="its name, as `fluxctl syncs` shows it")
    parser.add_argument("-o", "--output", choices=("tab", "json"), default="tab")


def _order(client: Client, args: Namespace, what: str) -> None:
    path = f"syncs/{quote(args.sync, safe='')}/{what}"
    job = str(client.post_new(path, user=args.user, message=args.message))
    waiting.job_or_told(client, job, args.timeout)


def _shows_colours() -> bool:
    """Tell whether colours are wanted, and shown: see https://no-color.org."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _lines(found: Mapping[str, Any], *, coloured: bool) -> Iterator[str]:
    for one in found["objects"]:
        place = f" ({one['file']}:{one['line']})" if one["file"] else ""
        head = f"{one['action']} {_harmless(one['id'])}{_harmless(place)}"
        yield f"{_BOLD}{head}{_PLAIN}" if coloured else head
        for line in map(_harmless, one["text"].splitlines()):
            colour = _COLOURS.get(line[:1], "") if coloured else ""
            yield f"{colour}{line}{_PLAIN}" if colour else line
        yield ""


def _harmless(text: str) -> str:
    """Leave out what would move a terminal's cursor, or change its colours."""
    return "".join(one if one.isprintable() or one == "\t" else "\ufffd" for one in text)
