"""
Builds the real control plane of ``sandbox/controlplane`` once, into the cache folder.

The file's name holds a hash of the sources: other sources, another file. Two copies that
build at once wait for each other. Run it by itself to build, or with ``--check`` to ask.
"""

import argparse
import asyncio
import hashlib
import os
import platform
import sys
from pathlib import Path

from sandbox import building, cache, go_toolchain
from sandbox.errors import SandboxError
from sandbox.progress import Say, to_stderr

_SOURCES = Path(__file__).parent / "controlplane"
_WHAT = "the control plane"


def binary() -> Path:
    """Name the file that a build of today's sources on this platform makes."""
    digest = hashlib.sha256()
    for source in sorted(_SOURCES.iterdir()):
        if source.suffix in {".go", ".mod", ".sum"} or source.name == "build.sh":
            digest.update(f"{source.name}\0".encode() + source.read_bytes() + b"\0")
    machine = f"{platform.system()}-{platform.machine()}".lower()
    return cache.folder() / f"controlplane-{digest.hexdigest()[:16]}-{machine}"


def is_built() -> bool:
    """Tell whether the control plane is there already."""
    return binary().exists()


async def build(*, say: Say = to_stderr) -> Path:
    """
    Return the control plane's file; build it if it is not there.

    Raises:
        SandboxError: there is no Go and none can be had, or the build failed.
    """
    target = binary()
    if target.exists():
        return target
    async with building.alone(_WHAT, target.with_suffix(".lock"), say=say):
        if not target.exists():
            await _compile(target, say)
    return target


async def _compile(target: Path, say: Say) -> None:
    go = await go_toolchain.find_or_install(_SOURCES / "go.mod", say=say)
    say(
        f"building the real control plane (Kubernetes, etcd, kwok) with {go} into {target}: "
        "3 to 10 minutes on two cores, this once; it loads 94 MB and fills Go's caches by 3.5 GB"
    )
    unfinished = target.with_suffix(".new")
    await building.compile_(
        _WHAT,
        ["bash", _SOURCES / "build.sh", unfinished],
        log=target.with_suffix(".log"),
        env={"PATH": f"{go.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"},
        compiling="compiling its 2,700 packages",
        remedy=(
            "\nIf that is about the network or the disk, mend it and try again; without the build,"
            " take CLUSTER=emulator."
        ),
        say=say,
    )
    unfinished.rename(target)


def main() -> int:
    """Build, or tell whether it is built: exit code 0 if it is there."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.controlplane_build")
    parser.add_argument("--check", action="store_true", help="only tell whether it is there")
    if parser.parse_args().check:
        print(f"{binary()}: {'is there' if is_built() else 'is not built'}")
        return 0 if is_built() else 1
    try:
        print(asyncio.run(build()))
    except SandboxError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
