"""`fluxctl release`: writes another image into git, waits until it is applied, and watches it."""

import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from fluxctl import menu, names, tables, updates, waiting
from fluxctl.client import Client
from fluxctl.errors import CommandError, RefusedError
from fluxctl.waiting import tell

AGAIN = 2.0
"""Seconds between two looks at a rollout."""


def release(client: Client, args: Namespace) -> None:
    """Write another image into git, and wait until it is applied."""
    spec = _spec(args)
    plan = spec["Kind"] == "plan"
    tell(f"Submitting {'dry-run ' if plan else ''}release ...")
    job = updates.give(client, args, "image", spec)
    first = waiting.job(client, job, args.timeout)
    if args.interactive:
        try:
            job = _ticked(client, args, first)
        except CommandError as error:
            tell(f"== Error ==\n\n{error}" if isinstance(error, RefusedError) else str(error))
            return
    done = waiting.job_or_told(client, job, args.timeout)
    updates.show(done, args)
    outcome = waiting.outcome(done)
    if outcome.get("revision") and outcome.get("result") is not None and not _only_plans(args):
        waiting.applied_or_told(client, outcome["revision"], args.timeout)
    if args.watch:
        _watch(client, args, waiting.outcome(first).get("result") or {})


def _only_plans(args: Namespace) -> bool:
    return bool(args.dry_run and not args.interactive)


def _ticked(client: Client, args: Namespace, plan: waiting.Job) -> str:
    """Let the person choose from a plan; order that, and return the id of its job."""
    result = waiting.outcome(plan).get("result") or {}
    chosen = menu.choose(result, args.verbose, ask=input, show=print)
    tell("Submitting selected release ...")
    spec = {
        "Kind": "execute",
        "ContainerSpecs": chosen,
        "SkipMismatches": False,
        "Force": args.force,
    }
    return updates.give(client, args, "containers", spec)


def _watch(client: Client, args: Namespace, result: Mapping[str, Any]) -> None:
    """Show the rollout until every workload is ready, or one is not."""
    wanted = ",".join(name for name, one in result.items() if one.get("Status") == "success")
    tell("Monitoring rollout ...")
    while True:
        found = client.get("v11/services", namespace="", services=wanted) or ()
        for one in found:
            print(tables.rollout(one, verbose=args.verbose > 0), flush=True)
            messages = (one.get("Rollout") or {}).get("Messages")
            if messages is not None:
                tell("\n".join([f"There was a problem releasing {one['ID']}:", *messages]))
                return
        if all(one.get("Status") == "ready" for one in found):
            tell("All workloads ready.")
            return
        time.sleep(AGAIN)


def _spec(args: Namespace) -> Mapping[str, Any]:
    _check(args)
    workloads = names.listed(args.workload)
    _warn(args)
    return {
        "ServiceSpecs": ["<all>"]
        if args.all
        else [names.workload(one, args.namespace) for one in workloads],
        "ImageSpec": names.image(args.update_image) if args.update_image else "<all latest>",
        "Kind": "plan" if args.dry_run or args.interactive else "execute",
        "Excludes": [names.workload(one, args.namespace) for one in names.listed(args.exclude)]
        or None,
        "Force": args.force,
    }


def _check(args: Namespace) -> None:
    if bool(args.update_image) == args.update_all_images:
        raise CommandError(
            "please supply exactly one of --update-image=<image> or --update-all-images"
        )
    if not args.all and not names.listed(args.workload):
        raise CommandError("please supply either --all, or at least one --workload=<workload>")
    if args.watch and args.dry_run:
        raise CommandError("cannot use --watch with --dry-run")
    if args.force and args.all and args.update_all_images:
        raise CommandError("--force has no effect when used with --all and --update-all-images")
    if args.interactive and not sys.stdin.isatty():
        raise CommandError("--interactive needs a terminal to ask on; use --dry-run to only look")


def _warn(args: Namespace) -> None:
    if args.force and args.all:
        tell("Warning: --force will not ignore locked workloads when used with --all")
    elif args.force and args.update_all_images:
        tell(
            "Warning: --force will not ignore container image tags when used with"
            " --update-all-images"
        )
