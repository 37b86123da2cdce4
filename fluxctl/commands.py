"""Commands that look, and the one that asks to look again."""

from argparse import Namespace

from fluxctl import image_table, names, tables, waiting, wire
from fluxctl.client import Client, understood
from fluxctl.errors import CommandError
from fluxctl.waiting import tell

VERSION = "0.1.0"
_UNVERIFIED = ("branch HEAD in the git repo is not verified", "last verified commit was")


def list_workloads(client: Client, args: Namespace) -> None:
    """Show workloads, their images, and how they do."""
    namespace = "" if args.all_namespaces else args.namespace
    found = client.get("v6/services", namespace=namespace)
    with understood():
        if args.container:
            # As in Flux v1: it says which workloads are shown, and they are shown whole.
            shown = (one for one in found or () if tables.has_container(one, args.container))
            found = [*shown] or None
        text = _workloads(tables.by_id(found), args)
    print(text, end="")
    _tell_problems(client)


def list_images(client: Client, args: Namespace) -> None:
    """Show which tags there are of the images in use."""
    service = names.workload(args.workload, args.namespace) if args.workload else "<all>"
    namespace = "" if args.workload else args.namespace
    found = client.get("v10/images", containerFields="", namespace=namespace, service=service)
    if args.output == "json" and args.limit < 0:
        raise CommandError("opts.limit cannot be less than 0")
    with understood():
        text = _images(tables.by_id(found), args)
    print(text, end="")


def syncs(client: Client, args: Namespace) -> None:
    """Show how far each sync is, and what is wrong."""
    found = client.get_new("syncs")
    if args.output == "json":
        print(wire.line(found))
        return
    with understood():
        text, lines = tables.syncs(found), [*tables.problems(found), *tables.down(found)]
    print(text, end="")
    for line in lines:
        tell(line)


def sync(client: Client, args: Namespace) -> None:
    """Look at git now, and wait until its head is applied."""
    config = client.post("v9/git-repo-config", False) or {}  # noqa: FBT003 - a bare boolean
    remote = config.get("remote") or {}
    url, branch = remote.get("url", ""), remote.get("branch", "")
    _check_repository(url, config.get("status", ""), config.get("errors", ""))
    tell(f"Synchronizing with {url}")
    spec = {"allow_prune": True} if args.allow_prune else {}
    body = {"type": "sync", "cause": {"Message": "", "User": ""}, "spec": spec}
    revision = _head(client, str(client.post("v9/update-manifests", body)), args.timeout)[:7]
    tell(f"Revision of {branch} to apply is {revision}")
    tell(f"Waiting for {revision} to be applied ...")
    waiting.applied(client, revision, args.timeout)
    if args.allow_prune:
        waiting.pruned(client, args.timeout)
    tell("Done.")
    for line in _held(client):
        tell(line)


def version(_: Client, __: Namespace) -> None:
    """Show the version of fluxctl."""
    print(VERSION)


def _workloads(found: list[tables.Found] | None, args: Namespace) -> str:
    if args.output == "json":
        return f"{wire.line(wire.workloads(found))}\n"
    header = ("WORKLOAD", "CONTAINER", "IMAGE", "RELEASE", "POLICY")
    return tables.table(None if args.no_headers else header, tables.workloads(found or ()))


def _images(found: list[tables.Found] | None, args: Namespace) -> str:
    if args.output == "json":
        return f"{wire.line(wire.images(found, args.limit))}\n"
    header = ("WORKLOAD", "CONTAINER", "IMAGE", "CREATED")
    rows = image_table.rows(found or (), max(args.limit, 0))
    return tables.table(None if args.no_headers else header, rows)


def _head(client: Client, job: str, timeout: float) -> str:
    try:
        return str(waiting.outcome(waiting.job(client, job, timeout)).get("revision") or "")
    except waiting.JobFailedError as error:
        if all(part in str(error) for part in _UNVERIFIED):
            tell(f"Warning: {error}")
            return error.revision
        tell(f'Failed to complete sync job (ID "{job}")')
        raise
    except CommandError:
        tell(f'Failed to complete sync job (ID "{job}")')
        raise


def _check_repository(url: str, status: str, why: str) -> None:
    full = f"\n\nFull error message: {why}"
    match status:
        case "ready":
            return
        case "unconfigured":
            raise CommandError("no git repository is configured")
        case "unreachable":
            raise CommandError(f"can not connect to git repository with URL {url}{full}")
        case _:
            raise CommandError(f"git repository {url} is not ready to sync{full if why else ''}")


def _held(client: Client) -> list[str]:
    """Return a line for each sync that is not applied now, or deletes nothing, until told to."""
    try:
        found = client.get_new("syncs")
    except CommandError:
        return []  # a server of Flux v1 knows no such thing
    resting = [tables.held(one) for one in found if one.get("held")]
    return resting + [tables.not_pruned(one) for one in found if one.get("prune_held")]


def _tell_problems(client: Client) -> None:
    try:
        found = client.get_new("syncs")
        with understood():
            lines = tables.problems(found)
    except CommandError:
        return  # a server of Flux v1 knows no such thing
    if lines:
        tell("\nWarning: not all that git declares could be read and applied:")
    for line in lines:
        tell(f"  {line}")
