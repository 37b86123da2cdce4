"""
Broker, git server, registries and cluster at once: what Flux needs around it.

The demo, the tests, the benchmarks and ``python -m sandbox`` all start it here.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox import cluster as clusters
from sandbox.broker import Broker, rabbitmq
from sandbox.broker_node import STATISTICS
from sandbox.cluster import Cluster, Kind
from sandbox.git_server import GitServer, git_server
from sandbox.oci_registry import OciRegistry, oci_registry
from sandbox.progress import Say, to_stderr
from sandbox.registry import Registry
from sandbox.registry import registry as a_registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    """Where everything is."""

    broker: Broker
    git: GitServer
    registry: Registry  # lets everybody in
    registry_auth: Registry  # asks for *registry_username* and *registry_password*
    registry_username: str
    registry_password: str
    oci_registry: OciRegistry  # our own, which misbehaves when told to
    cluster: Cluster


@asynccontextmanager
async def everything(
    directory: Path,
    cluster: Kind = "auto",
    *,
    say: Say = to_stderr,
    statistics: float = STATISTICS,
) -> AsyncIterator[Everything]:
    """
    Run everything with all its files in *directory* for the length of the block.

    All parts start at the same time, and what has started stops if one cannot. *statistics* are
    the broker's, see there.

    Raises:
        SandboxError: a part cannot be had; the text names it, the reason and the remedy.
    """
    login = ("flux", secrets.token_hex(16))
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        try:
            async with asyncio.TaskGroup() as group:
                broker = group.create_task(
                    enter(rabbitmq(directory / "broker", say=say, statistics=statistics))
                )
                git = group.create_task(enter(git_server(directory / "git", say=say)))
                registry = group.create_task(enter(a_registry(directory / "registry", say=say)))
                guarded = group.create_task(
                    enter(a_registry(directory / "registry-auth", login, say=say))
                )
                own = group.create_task(enter(oci_registry()))
                kube = group.create_task(
                    enter(clusters.cluster(directory / "cluster", cluster, say=say))
                )
        except BaseExceptionGroup as failures:
            # One is what a person can act on; the others were stopped because of it.
            raise failures.exceptions[0] from failures
        yield Everything(
            broker=broker.result(),
            git=git.result(),
            registry=registry.result(),
            registry_auth=guarded.result(),
            registry_username=login[0],
            registry_password=login[1],
            oci_registry=own.result(),
            cluster=kube.result(),
        )
