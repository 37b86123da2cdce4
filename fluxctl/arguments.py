"""What may be typed; names and defaults are Flux v1's."""

import os
import re
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence

from fluxctl.commands import COMMANDS, git_user

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse(argv: Sequence[str]) -> Namespace:
    """Return the command and its options."""
    parser = ArgumentParser(prog="fluxctl", description="Deploys what git says, by hand.")
    _everywhere(parser, of_all=True)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        one = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
        _everywhere(one, of_all=False)
        _ADD.get(name, _nothing)(one)
    args = parser.parse_args(argv)
    if getattr(args, "user", "") is None:
        args.user = git_user()
    return args


def _everywhere(parser: ArgumentParser, *, of_all: bool) -> None:
    """Options that stand before the command or behind it; the last one counts."""
    group = parser.add_argument_group("connection")
    missing = None if of_all else SUPPRESS
    group.add_argument("-u", "--url", default=missing, help="the gateway (or FLUX_URL)")
    group.add_argument("-t", "--token", default=missing, help="its token (or FLUX_SERVICE_TOKEN)")
    group.add_argument(
        "--timeout",
        type=_seconds,
        default=_default_timeout() if of_all else SUPPRESS,
        help="for each wait; 60s if not given",
    )


def _default_timeout() -> float:
    try:
        return _seconds(os.environ.get("FLUX_TIMEOUT", "60s"))
    except ArgumentTypeError:
        return 60.0


def _seconds(text: str) -> float:
    if not re.fullmatch(f"(?:{_DURATION.pattern})+", text):
        raise ArgumentTypeError(f"{text!r} is no duration; write 30s or 2m")
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))


def _nothing(_: ArgumentParser) -> None:
    pass


def _output(parser: ArgumentParser) -> None:
    parser.add_argument("-o", "--output", choices=("tab", "json"), default="tab")
    parser.add_argument("--output-format", choices=("tab", "json"), dest="output", help="the same")


def _listing(parser: ArgumentParser) -> None:
    parser.add_argument("-n", "--namespace", default="default")
    parser.add_argument("--no-headers", action="store_true", help="rows alone")
    _output(parser)


def _list_workloads(parser: ArgumentParser) -> None:
    _listing(parser)
    parser.add_argument("-a", "--all-namespaces", action="store_true")
    parser.add_argument("-c", "--container", default="", help="only containers of this name")


def _list_images(parser: ArgumentParser) -> None:
    _listing(parser)
    parser.add_argument("-w", "--workload", "--controller", help="only of this one")
    parser.add_argument("-l", "--limit", type=int, default=10, help="tags an image; 0 for all")


def _cause(parser: ArgumentParser) -> None:
    parser.add_argument("-n", "--namespace", default="default")
    parser.add_argument("-m", "--message", default="", help="the commit's message")
    parser.add_argument("--user", help="who does it; default: git's user")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="skipped too; -vv: all")
    _output(parser)


def _release(parser: ArgumentParser) -> None:
    _cause(parser)
    parser.add_argument("--workload", "-c", "--controller", action="append", default=[])
    parser.add_argument("--all", action="store_true", help="every workload")
    parser.add_argument("-i", "--update-image", metavar="IMAGE:TAG")
    parser.add_argument("--update-all-images", action="store_true", help="to the newest allowed")
    parser.add_argument("--exclude", action="append", default=[], metavar="WORKLOAD")
    parser.add_argument("--dry-run", action="store_true", help="only say what would change")
    parser.add_argument("-f", "--force", action="store_true", help="ignore lock and tag filter")
    parser.add_argument("-w", "--watch", action="store_true", help="until it is rolled out")


def _one(parser: ArgumentParser) -> None:
    _cause(parser)
    parser.add_argument("-w", "--workload", "-c", "--controller", required=True)


def _policy(parser: ArgumentParser) -> None:
    _one(parser)
    parser.add_argument("--tag-all", metavar="PATTERN", help="for all containers")
    parser.add_argument("--tag", action="append", default=[], metavar="CONTAINER=PATTERN")
    for name in ("automate", "deautomate", "lock", "unlock"):
        parser.add_argument(f"--{name}", action="store_true")


_ADD = {
    "list-workloads": _list_workloads,
    "list-controllers": _list_workloads,
    "list-images": _list_images,
    "syncs": _output,
    "release": _release,
    "automate": _one,
    "deautomate": _one,
    "lock": _one,
    "unlock": _one,
    "policy": _policy,
}
