"""What may be typed; names and defaults are Flux v1's."""

import re
import sys
from argparse import SUPPRESS, Action, ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from fluxctl import commands, control, dead_letters, names, release, updates
from fluxctl.client import Client
from fluxctl.durations import default_timeout, seconds
from fluxctl.errors import UsageError

COMMANDS: Mapping[str, Callable[[Client, Namespace], None]] = {
    "list-workloads": commands.list_workloads,
    "list-controllers": commands.list_workloads,
    "list-images": commands.list_images,
    "syncs": commands.syncs,
    "release": release.release,
    "rollback": updates.rollback,
    "automate": updates.automate,
    "deautomate": updates.deautomate,
    "lock": updates.lock,
    "unlock": updates.unlock,
    "policy": updates.policy,
    "sync": commands.sync,
    "suspend": control.suspend,
    "resume": control.resume,
    "diff": control.diff,
    "dead-letters": dead_letters.dead_letters,
    "version": commands.version,
}

_ELSEWHERE = {
    "save": "use `kubectl get -o yaml`: the gateway holds no cluster credentials",
    "install": "use the manifests in `k8s/`",
    "identity": "the SSH key is what `git.auth.private_key` of flux.yaml says",
}
_OUTPUTS = ("tab", "json")


class _Parser(ArgumentParser):
    """Says what is wrong as Flux v1's fluxctl does, and by our own exception."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(_said(message), self.prog)


def parse(argv: Sequence[str]) -> Namespace:
    """
    Return the command and its options.

    Raises:
        UsageError: it can't be.
    """
    parser = _Parser(prog="fluxctl", description="Deploys what git says, by hand.")
    parser.allow_abbrev = False
    _everywhere(parser, of_all=True)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        one = subparsers.add_parser(
            name, help=command.__doc__, description=command.__doc__, allow_abbrev=False
        )
        _everywhere(one, of_all=False)
        _ADD.get(name, _nothing)(one)
    args, rest = parser.parse_known_args([_plain(one) for one in argv])
    if rest:
        raise UsageError(_unknown(rest), " ".join(filter(None, ("fluxctl", args.command))))
    if args.command is None:
        parser.print_help()
        sys.exit(0)
    _fill_in(args)
    return args


def _fill_in(args: Namespace) -> None:
    """Look up what was not typed, and is asked for."""
    if getattr(args, "namespace", "") is None:
        whole = getattr(args, "all_namespaces", False)
        args.namespace = "" if whole else names.namespace(args.context)
    if getattr(args, "user", "") is None:
        args.user = names.user()


def _plain(one: str) -> str:
    """Read `--all=true` as `--all`."""
    return one.removesuffix("=true") if one.startswith("--") else one


def _said(message: str) -> str:
    if found := re.search(r"invalid choice: '([^']*)' \(choose", message):
        hint = _ELSEWHERE.get(found[1])
        more = f"\n{found[1]} is not needed here: {hint}." if hint else ""
        return f'unknown command "{found[1]}" for "fluxctl"{more}'
    if found := re.search(r"argument (?:\S+/)*(-\S+): expected one argument", message):
        return f"flag needs an argument: {found[1]}"
    return message


def _unknown(rest: Sequence[str]) -> str:
    option = next((one for one in rest if one.startswith("-") and len(one) > 1), "")
    if not option:
        return "expected no (non-flag) arguments"
    if option.startswith("--"):
        return f"unknown flag: {option.partition('=')[0]}"
    return f"unknown shorthand flag: '{option[1]}' in {option}"


def _everywhere(parser: ArgumentParser, *, of_all: bool) -> None:
    """Options that stand before the command or behind it; the last one counts."""
    group = parser.add_argument_group("connection")
    missing = None if of_all else SUPPRESS
    group.add_argument("-u", "--url", default=missing, help="the gateway (or FLUX_URL)")
    group.add_argument("-t", "--token", default=missing, help="its token (or FLUX_SERVICE_TOKEN)")
    group.add_argument("--context", default=missing, help="of kubectl, for the namespace")
    group.add_argument(
        "--timeout",
        type=seconds,
        default=default_timeout() if of_all else SUPPRESS,
        help="for each wait; 60s if not given",
    )


def _format(text: str) -> str:
    if text not in _OUTPUTS:
        raise UsageError("invalid output format specified", "fluxctl")
    return text


class _Deprecated(Action):
    """Flux v1's older name of an option; works, and says what to use."""

    def __call__(
        self, parser: ArgumentParser, args: Namespace, values: Any, option: str | None = None
    ) -> None:
        """Take the value as if the newer name had been typed."""
        del parser, option
        print(
            "Flag --controller has been deprecated, changed to --workload, use that instead",
            file=sys.stderr,
        )
        known = getattr(args, self.dest)
        setattr(args, self.dest, [*known, values] if isinstance(known, list) else values)


def _nothing(_: ArgumentParser) -> None:
    pass


def _output(parser: ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output-format", "--output", dest="output", type=_format, default="tab",
        help="tab or json",
    )  # fmt: skip


def _namespace(parser: ArgumentParser) -> None:
    parser.add_argument("-n", "--namespace", help="that of kubectl's context if not given")


def _controller(parser: ArgumentParser) -> None:
    parser.add_argument("-c", "--controller", dest="workload", action=_Deprecated, help=SUPPRESS)


def _listing(parser: ArgumentParser) -> None:
    _namespace(parser)
    parser.add_argument("--no-headers", action="store_true", help="rows alone")
    _output(parser)


def _list_workloads(parser: ArgumentParser) -> None:
    _listing(parser)
    parser.add_argument("-a", "--all-namespaces", action="store_true")
    parser.add_argument("-c", "--container", default="", help="only of such a container")


def _list_images(parser: ArgumentParser) -> None:
    _listing(parser)
    parser.add_argument("-w", "--workload", help="only of this one")
    _controller(parser)
    parser.add_argument("-l", "--limit", type=int, default=10, help="tags an image; 0 for all")


def _cause(parser: ArgumentParser) -> None:
    _namespace(parser)
    parser.add_argument("-m", "--message", default="", help="the commit's message")
    parser.add_argument("--user", help="who does it; default: git's user")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="skipped too; -vv: all")
    _output(parser)


def _release(parser: ArgumentParser) -> None:
    _cause(parser)
    parser.add_argument("--workload", action="append", default=[])
    _controller(parser)
    parser.add_argument("--all", action="store_true", help="every workload")
    parser.add_argument("-i", "--update-image", metavar="IMAGE:TAG")
    parser.add_argument("--update-all-images", action="store_true", help="to the newest allowed")
    parser.add_argument("--exclude", action="append", default=[], metavar="WORKLOAD")
    parser.add_argument("--dry-run", action="store_true", help="only say what would change")
    parser.add_argument("--interactive", action="store_true", help="choose what to release")
    parser.add_argument("-f", "--force", action="store_true", help="ignore lock and tag filter")
    parser.add_argument("-w", "--watch", action="store_true", help="until it is rolled out")


def _one(parser: ArgumentParser) -> None:
    _cause(parser)
    parser.add_argument("-w", "--workload", help="kind/name")
    _controller(parser)


def _policy(parser: ArgumentParser) -> None:
    _one(parser)
    parser.add_argument("--tag-all", metavar="PATTERN", help="for all containers")
    parser.add_argument("--tag", action="append", default=[], metavar="CONTAINER=PATTERN")
    for name in ("automate", "deautomate", "lock", "unlock"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--unhold", action="store_true", help="take back what was rolled back")


def _rollback(parser: ArgumentParser) -> None:
    _one(parser)
    parser.add_argument("name", nargs="?", metavar="WORKLOAD", help="the same as -w")


def _sync(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--allow-prune",
        action="store_true",
        help="delete what the heads of the branches declare no more, however much it is",
    )


_ADD = {
    "list-workloads": _list_workloads,
    "list-controllers": _list_workloads,
    "list-images": _list_images,
    "syncs": _output,
    "sync": _sync,
    "suspend": control.add_sync,
    "resume": control.add_sync,
    "diff": control.add_diff,
    "dead-letters": dead_letters.add_options,
    "release": _release,
    "automate": _one,
    "deautomate": _one,
    "lock": _one,
    "unlock": _one,
    "policy": _policy,
    "rollback": _rollback,
}
