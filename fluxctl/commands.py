"""What each command does: ask the gateway, wait, print."""

import json
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any

from fluxctl import tables, waiting
from fluxctl.client import Client
from fluxctl.errors import CommandError
from fluxctl.waiting import tell

VERSION = "0.1.0"


def list_workloads(client: Client, args: Namespace) -> None:
    """Show workloads, their images, and how they do."""
    found = client.get("v6/services", namespace="" if args.all_namespaces else args.namespace)
    if args.output == "json":
        print(json.dumps(found))
        return
    header = None if args.no_headers else ("WORKLOAD", "CONTAINER", "IMAGE", "RELEASE", "POLICY")
    print(tables.table(header, tables.workloads(found or (), args.container)), end="")
    for line in tables.problems(client.get_new("syncs")):
        tell(line)


def list_images(client: Client, args: Namespace) -> None:
    """Show which tags there are of the images in use."""
    if args.limit < 0:
        raise CommandError("--limit cannot be less than 0")
    service = _workload(args.workload, args.namespace) if args.workload else "<all>"
    namespace = "" if args.workload else args.namespace
    found = client.get("v10/images", containerFields="", namespace=namespace, service=service)
    if args.output == "json":
        print(json.dumps([_limited(one, args.limit) for one in found or ()]))
        return
    header = None if args.no_headers else ("WORKLOAD", "CONTAINER", "IMAGE", "CREATED")
    print(tables.table(header, tables.images(found or (), args.limit)), end="")


def syncs(client: Client, args: Namespace) -> None:
    """Show how far each sync is, and what is wrong."""
    found = client.get_new("syncs")
    if args.output == "json":
        print(json.dumps(found))
        return
    print(tables.syncs(found), end="")
    for line in (*tables.problems(found), *tables.down(found)):
        tell(line)


def release(client: Client, args: Namespace) -> None:
    """Write another image into git, and wait until it is applied."""
    _check_release(args)
    workloads = [_workload(one, args.namespace) for one in _listed(args.workload)]
    spec = {
        "ServiceSpecs": ["<all>"] if args.all else workloads,
        "ImageSpec": args.update_image or "<all latest>",
        "Kind": "plan" if args.dry_run else "execute",
        "Excludes": [_workload(one, args.namespace) for one in _listed(args.exclude)] or None,
        "Force": args.force,
    }
    tell(f"Submitting {'dry-run ' if args.dry_run else ''}release ...")
    _warn(args)
    job = _update(client, args, "image", spec)
    done = _finished(client, args, job)
    revision = (done.get("Result") or {}).get("revision")
    if revision and not args.dry_run:
        waiting.applied_or_told(client, revision, args.timeout)
    if args.watch:
        _watch(client, args, (done.get("Result") or {}).get("result") or {})


def automate(client: Client, args: Namespace) -> None:
    """Let a workload follow its images."""
    _policy(client, args, {"automated": "true"}, ())


def deautomate(client: Client, args: Namespace) -> None:
    """Let a workload's images be."""
    _policy(client, args, {}, ("automated",))


def lock(client: Client, args: Namespace) -> None:
    """Keep a workload's images as they are, also from releases by hand."""
    who = {"locked_user": args.user, "locked_msg": args.message} if args.user else {}
    _policy(client, args, {"locked": "true", **who}, ())


def unlock(client: Client, args: Namespace) -> None:
    """Let a workload's images change again."""
    _policy(client, args, {}, ("locked", "locked_msg", "locked_user"))


def policy(client: Client, args: Namespace) -> None:
    """Change several policies of a workload at once."""
    if args.automate and args.deautomate:
        raise CommandError("automate and deautomate both specified")
    if args.lock and args.unlock:
        raise CommandError("lock and unlock both specified")
    add: dict[str, str] = {}
    remove: list[str] = []
    if args.tag_all:
        add["tag_all"] = _pattern(args.tag_all)
    for one in _listed(args.tag):
        container, separator, pattern = one.partition("=")
        if not separator or not container:
            raise CommandError(f"--tag {one!r} must be CONTAINER=PATTERN, like web=semver:~1.4")
        if pattern == "*":
            remove.append(f"tag.{container}")
        else:
            add[f"tag.{container}"] = _pattern(pattern)
    add |= {"automated": "true"} if args.automate else {}
    add |= {"locked": "true"} if args.lock else {}
    if args.lock and args.user:
        add |= {"locked_user": args.user, "locked_msg": args.message}
    remove += ["automated"] if args.deautomate else []
    remove += ["locked", "locked_msg", "locked_user"] if args.unlock else []
    _policy(client, args, add, tuple(remove))


def sync(client: Client, args: Namespace) -> None:
    """Look at git now, and wait until its head is applied."""
    config = client.post("v9/git-repo-config", False)  # noqa: FBT003 - the body is a bare boolean
    url, branch = config["remote"]["url"], config["remote"]["branch"]
    if config["status"] == "unconfigured":
        raise CommandError("no git repository is configured")
    if config["status"] == "unreachable":
        raise CommandError(
            f"can not connect to git repository with URL {url}\n\n{config['errors']}"
        )
    tell(f"Synchronizing with {url}")
    body = {"type": "sync", "cause": {"Message": "", "User": ""}, "spec": {}}
    identity = client.post("v9/update-manifests", body)
    revision = waiting.job(client, identity, args.timeout)["Result"]["revision"][:7]
    tell(f"Revision of {branch} to apply is {revision}")
    tell(f"Waiting for {revision} to be applied ...")
    if not waiting.applied(client, revision, args.timeout):
        raise CommandError("timeout")
    tell("Done.")


def version(_: Client, __: Namespace) -> None:
    """Show the version of fluxctl."""
    print(VERSION)


COMMANDS: Mapping[str, Callable[[Client, Namespace], None]] = {
    "list-workloads": list_workloads,
    "list-controllers": list_workloads,
    "list-images": list_images,
    "syncs": syncs,
    "release": release,
    "automate": automate,
    "deautomate": deautomate,
    "lock": lock,
    "unlock": unlock,
    "policy": policy,
    "sync": sync,
    "version": version,
}


def git_user() -> str:
    """Return `Name <email>` of git's configuration, or what of it there is."""
    name, email = (_git_config(key) for key in ("user.name", "user.email"))
    return " ".join(filter(None, (name, f"<{email}>" if name and email else email)))


def _git_config(key: str) -> str:
    try:
        found = subprocess.run(
            ["git", "config", key], capture_output=True, text=True, check=False, timeout=5
        )
    except OSError:
        return ""
    return found.stdout.strip()


def _policy(
    client: Client, args: Namespace, add: Mapping[str, str], remove: tuple[str, ...]
) -> None:
    workload = _workload(args.workload, args.namespace)
    spec = {workload: {"add": dict(add), "remove": dict.fromkeys(remove, "true")}}
    _finished(client, args, _update(client, args, "policy", spec))


def _update(client: Client, args: Namespace, kind: str, spec: Mapping[str, Any]) -> str:
    cause = {"Message": args.message, "User": args.user}
    identity: str = client.post("v9/update-manifests", {"type": kind, "cause": cause, "spec": spec})
    return identity


def _finished(client: Client, args: Namespace, identity: str) -> waiting.Job:
    done = waiting.job(client, identity, args.timeout)
    result = (done.get("Result") or {}).get("result")
    revision = (done.get("Result") or {}).get("revision", "")
    if args.output == "json":
        print(json.dumps(done.get("Result") or {}))
    elif result is not None:
        print(tables.results(result, args.verbose), end="")
    if revision:
        tell(f"Commit pushed:\t{revision[:7]}")
    if result is None:
        tell("Nothing to do")
    return done


def _watch(client: Client, args: Namespace, result: Mapping[str, Any]) -> None:
    """Show the rollout until every workload is ready, or one is not."""
    wanted = ",".join(name for name, one in result.items() if one["Status"] == "success")
    tell("Monitoring rollout ...")
    while True:
        found = client.get("v11/services", namespace="", services=wanted)
        for one in found:
            print(tables.rollout(one, verbose=args.verbose > 0))
            messages = (one.get("Rollout") or {}).get("Messages")
            if messages is not None:
                tell("\n".join([f"There was a problem releasing {one['ID']}:", *messages]))
                return
        if all(one["Status"] == "ready" for one in found):
            tell("All workloads ready.")
            return
        sys.stdout.flush()
        time.sleep(2)


def _check_release(args: Namespace) -> None:
    if bool(args.update_image) == args.update_all_images:
        raise CommandError(
            "please supply exactly one of --update-image=<image> or --update-all-images"
        )
    if not args.all and not args.workload:
        raise CommandError("please supply either --all, or at least one --workload=<workload>")
    if args.watch and args.dry_run:
        raise CommandError("cannot use --watch with --dry-run")
    if args.force and args.all and args.update_all_images:
        raise CommandError("--force has no effect when used with --all and --update-all-images")


def _warn(args: Namespace) -> None:
    if args.force and args.all:
        tell("Warning: --force will not ignore locked workloads when used with --all")
    if args.force and args.update_all_images:
        tell(
            "Warning: --force will not ignore container image tags when used with"
            " --update-all-images"
        )


def _limited(one: Mapping[str, Any], limit: int) -> Mapping[str, Any]:
    if not limit:
        return one
    containers = [
        {**container, "Available": (container.get("Available") or [])[:limit]}
        for container in one.get("Containers") or ()
    ]
    return {**one, "Containers": containers}


def _listed(values: list[str]) -> list[str]:
    """Take options that repeat and options with commas alike."""
    return [one for value in values for one in value.split(",") if one]


def _workload(name: str, namespace: str) -> str:
    if ":" in name:
        return name
    if "/" not in name:
        raise CommandError(f"{name!r} is no workload; write kind/name, like deployment/web")
    return f"{namespace}:{name}"


def _pattern(text: str) -> str:
    kind, separator, rest = text.partition(":")
    if not separator or kind not in {"glob", "semver", "regexp", "regex"}:
        return f"glob:{text}"
    return f"regexp:{rest}" if kind == "regex" else text
