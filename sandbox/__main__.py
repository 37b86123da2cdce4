"""
``python -m sandbox up``: everything that Flux meets, until SIGTERM or Ctrl-C.

Prints where it all is, in lines or as one line of JSON, and leaves nothing behind.
"""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.cluster import Kind
from sandbox.errors import SandboxError
from sandbox.everything import Everything, everything
from sandbox.git_server import Repository
from sandbox.progress import to_stderr

REPOSITORY = "apps"
"""The empty repository that is there from the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for on the command line."""

    as_json: bool
    directory: Path | None
    cluster: Kind


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the value is the exit code."""
    options = _parse(argv)
    try:
        with _directory(options.directory) as directory:
            asyncio.run(_up(directory, options))
    except SandboxError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    return 0


async def _up(directory: Path, options: Options) -> None:
    this = asyncio.current_task()
    assert this is not None
    asked = asyncio.Event()

    def stop() -> None:
        if not asked.is_set():  # a second one must not cut the cleaning short
            asked.set()
            to_stderr("stopping everything")
            this.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        async with everything(directory, options.cluster) as it:
            repository = it.git.repository(REPOSITORY)
            if not repository.path.exists():
                await it.git.create(REPOSITORY)
            _tell(_addresses(it, repository, directory), as_json=options.as_json)
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        if not asked.is_set():
            raise


def _addresses(it: Everything, repository: Repository, directory: Path) -> dict[str, object]:
    return {
        "amqp_url": it.broker.amqp_url,
        "management_url": it.broker.management_url,
        "prometheus_url": it.broker.prometheus_url,
        "rabbitmq_username": it.broker.username,
        "rabbitmq_password": it.broker.password,
        "broker_how": it.broker.how,
        "git_http_url": repository.http_url,
        "git_ssh_url": repository.ssh_url,
        "git_username": it.git.username,
        "git_password": it.git.password,
        "git_token": it.git.token,
        "git_private_key": it.git.private_key_file,
        "git_known_hosts": it.git.known_hosts_file,
        "git_http_base": it.git.http_url,
        "git_ssh_base": it.git.ssh_url,
        "git_root": it.git.root,  # every bare repository below it is served at once
        "registry": it.registry.host,
        "registry_how": it.registry.how,
        "registry_auth": it.registry_auth.host,
        "registry_auth_username": it.registry_username,
        "registry_auth_password": it.registry_password,
        "oci_registry": it.oci_registry.host,
        "kubeconfig": it.cluster.kubeconfig,
        "cluster_server": it.cluster.server,
        "cluster_kind": it.cluster.kind,
        "cluster_how": it.cluster.how,
        "directory": directory,
    }


def _tell(addresses: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(addresses, default=str), flush=True)
        return
    for name, value in addresses.items():
        print(f"{name:24} {'-' if value is None else value}", flush=True)


@contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="flux-sandbox-", ignore_cleanup_errors=True) as made:
        yield Path(made)


def _parse(argv: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="up")
    up = commands.add_parser("up", help="start everything, and stay until SIGTERM")
    up.add_argument("--json", action="store_true", help="print one line of JSON when ready")
    up.add_argument("--dir", type=Path, help="keep all files here (else a temporary folder)")
    kinds = ("auto", "real", "emulator")
    up.add_argument("--cluster", choices=kinds, default="auto", help="which cluster (auto)")
    parsed = parser.parse_args(argv)
    return Options(as_json=parsed.json, directory=parsed.dir, cluster=parsed.cluster)


if __name__ == "__main__":
    sys.exit(main())
