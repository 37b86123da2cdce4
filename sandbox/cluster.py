"""
A Kubernetes API for the sandbox: given, the real control plane, or the emulator.

The real one is built by `controlplane_build`; the emulator is a process of its own, too. Both
say in one line of JSON where they are, and end with us.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from sandbox import controlplane_build
from sandbox.errors import SandboxError
from sandbox.process import Child
from sandbox.progress import Say, to_stderr

Kind = Literal["auto", "real", "emulator"]

_START_TIMEOUT = 120.0  # seconds; the real one needs 3 on a quiet machine
_PROJECT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where the API server is, and who may do everything there."""

    kubeconfig: Path
    server: str
    kind: Literal["given", "real", "emulator"]
    how: str
    pid: int | None  # SIGUSR1 to the real one's restarts its API server


@asynccontextmanager
async def cluster(
    directory: Path, kind: Kind = "auto", *, say: Say = to_stderr
) -> AsyncIterator[Cluster]:
    """
    Run a cluster with all its files in *directory* for the length of the block.

    *kind* "auto" takes the real control plane if it has been built, and the emulator
    otherwise; "real" builds it first. A given ``SANDBOX_KUBECONFIG`` stands for both, but not
    for the emulator where that is asked for by name.
    """
    given = os.environ.get("SANDBOX_KUBECONFIG")
    if given and kind != "emulator":
        yield _given(Path(given))
        return
    real = kind == "real" or (kind == "auto" and controlplane_build.is_built())
    async with _real(directory, say) if real else _emulator(directory, kind, say) as it:
        yield it


@asynccontextmanager
async def _real(directory: Path, say: Say) -> AsyncIterator[Cluster]:
    binary = await controlplane_build.build(say=say)
    say("starting the real control plane")
    argv = [binary, "up", "--dir", directory, "--exit-on-stdin-eof"]
    async with _announced("the control plane", argv, directory) as (child, said):
        yield Cluster(
            kubeconfig=Path(said["kubeconfig"]),
            server=said["server"],
            kind="real",
            how="the real control plane",
            pid=child.pid,
        )


@asynccontextmanager
async def _emulator(directory: Path, kind: Kind, say: Say) -> AsyncIterator[Cluster]:
    how = "the emulator"
    if kind == "auto":
        how += ", because the real control plane is not built (get it with CLUSTER=real)"
    say(f"starting the cluster: {how}")
    argv = [sys.executable, "-m", "sandbox.emulator", "--dir", directory]
    async with _announced("the cluster's emulator", argv, directory) as (child, said):
        yield Cluster(
            kubeconfig=Path(said["kubeconfig"]),
            server=said["server"],
            kind="emulator",
            how=how,
            pid=child.pid,
        )


@asynccontextmanager
async def _announced(
    name: str, argv: Sequence[object], directory: Path
) -> AsyncIterator[tuple[Child, dict[str, str]]]:
    paths = [str(_PROJECT), os.environ.get("PYTHONPATH", "")]
    child = await Child.start(
        name,
        argv,
        log=directory / "up.log",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        said = await child.first_line(timeout=_START_TIMEOUT)
        yield child, json.loads(said)
    finally:
        await child.stop()


def _given(kubeconfig: Path) -> Cluster:
    try:
        config = yaml.safe_load(kubeconfig.read_text())
        contexts = {entry["name"]: entry["context"] for entry in config["contexts"]}
        clusters = {entry["name"]: entry["cluster"] for entry in config["clusters"]}
        server = clusters[contexts[config["current-context"]]["cluster"]]["server"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise SandboxError(
            f"SANDBOX_KUBECONFIG names {kubeconfig}, which is no kubeconfig with a current "
            f"context ({error!r}): correct it or unset the variable"
        ) from error
    how = "the one given by SANDBOX_KUBECONFIG"
    return Cluster(kubeconfig=kubeconfig, server=server, kind="given", how=how, pid=None)
