"""Commands that change policies, and what all orders have in common: given, awaited, shown."""

from argparse import Namespace
from collections.abc import Iterable, Mapping
from typing import Any

from fluxctl import names, tables, waiting, wire
from fluxctl.client import Client, understood
from fluxctl.errors import CommandError
from fluxctl.waiting import tell

_LOCKED = ("locked", "locked_msg", "locked_user")


def automate(client: Client, args: Namespace) -> None:
    """Let a workload follow its images."""
    _change(client, args, {"automated": "true"})


def deautomate(client: Client, args: Namespace) -> None:
    """Let a workload's images be."""
    _change(client, args, {}, ("automated",))


def lock(client: Client, args: Namespace) -> None:
    """Keep a workload's images as they are, also from releases by hand."""
    _change(client, args, _lock(args))


def unlock(client: Client, args: Namespace) -> None:
    """Let a workload's images change again."""
    _change(client, args, {}, _LOCKED)


def policy(client: Client, args: Namespace) -> None:
    """Change several policies of a workload at once."""
    _required(args)
    if args.automate and args.deautomate:
        raise CommandError("automate and deautomate both specified")
    if args.lock and args.unlock:
        raise CommandError("lock and unlock both specified")
    add = {"automated": "true"} if args.automate else {}
    add |= _lock(args) if args.lock else {}
    if args.tag_all:
        add["tag_all"] = names.pattern(args.tag_all)
    remove = ["automated"] if args.deautomate else []
    remove += _LOCKED if args.unlock else ()
    remove += ["held"] if args.unhold else []
    for container, pattern in map(_tag, names.listed(args.tag)):
        if pattern == "*":
            remove.append(f"tag.{container}")
        else:
            add[f"tag.{container}"] = names.pattern(pattern)
    _change(client, args, add, remove)


def rollback(client: Client, args: Namespace) -> None:
    """Undo a workload's newest update, and keep it from that tag."""
    if bool(args.workload) == bool(args.name):
        raise CommandError("name one workload: fluxctl rollback <workload>")
    workload = names.workload(args.workload or args.name, args.namespace)
    job = give(client, args, "rollback", {"Workloads": [workload]})
    show(waiting.job_or_told(client, job, args.timeout), args)


def give(client: Client, args: Namespace, kind: str, spec: Mapping[str, Any]) -> str:
    """Give an order; return the id of its job."""
    cause = {"Message": args.message, "User": args.user}
    body = {"type": kind, "cause": cause, "spec": spec}
    return str(client.post("v9/update-manifests", body) or "")


def show(done: waiting.Job, args: Namespace) -> None:
    """Show what became of an order."""
    outcome = waiting.outcome(done)
    result, revision = outcome.get("result"), outcome.get("revision") or ""
    if args.output == "json":
        print(wire.line(outcome))
    elif result is not None:
        with understood():
            text = tables.results(result, args.verbose)
        print(text, end="")
    if revision:
        tell(f"Commit pushed:\t{revision[:7]}")
    if result is None:
        tell("Nothing to do")


def _change(
    client: Client, args: Namespace, add: Mapping[str, str], remove: Iterable[str] = ()
) -> None:
    _required(args)
    workload = names.workload(args.workload, args.namespace)
    spec = {workload: {"add": dict(add), "remove": dict.fromkeys(remove, "true")}}
    job = give(client, args, "policy", spec)
    show(waiting.job_or_told(client, job, args.timeout), args)


def _required(args: Namespace) -> None:
    if not args.workload:
        raise CommandError("-w, --workload is required")


def _lock(args: Namespace) -> dict[str, str]:
    who = {"locked_user": args.user, "locked_msg": args.message} if args.user else {}
    return {"locked": "true", **who}


def _tag(pair: str) -> tuple[str, str]:
    container, _, pattern = pair.partition("=")
    if pair.count("=") != 1 or not container:
        raise CommandError(
            f"invalid container/tag pair: \"{pair}\". Expected format is 'container=filter'"
        )
    return container, pattern
