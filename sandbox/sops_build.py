"""
Builds sops, and age-keygen beside it, once, into the cache folder: from the Go modules of both.

Run it by itself to build.
"""

import asyncio
import platform
import sys
from pathlib import Path

from sandbox import building, cache, go_toolchain
from sandbox.errors import SandboxError
from sandbox.progress import Say, to_stderr

SOPS = "v3.13.3"
"""What we test with; a test holds the words by which people give it to the Dockerfile equal."""
_MODULES = (
    f"github.com/getsops/sops/v3/cmd/sops@{SOPS}",
    "filippo.io/age/cmd/age-keygen@v1.3.2",
)
_GO_MOD = Path(__file__).parent / "controlplane" / "go.mod"
_WHAT = "sops"


def folder() -> Path:
    """Name the folder that holds the programs, once they are built."""
    machine = f"{platform.system()}-{platform.machine()}".lower()
    return cache.folder() / f"sops-{SOPS}-{machine}"


async def build(*, say: Say = to_stderr) -> Path:
    """
    Return the folder with the programs; build them if they are not there.

    Raises:
        SandboxError: there is no Go and none can be had, or the build failed.
    """
    target = folder()
    if target.exists():
        return target
    async with building.alone(_WHAT, target.with_name(f"{target.name}.lock"), say=say):
        if not target.exists():
            await _compile(target, say)
    return target


async def _compile(target: Path, say: Say) -> None:
    go = await go_toolchain.find_or_install(_GO_MOD, say=say)
    say(f"building sops with {go} into {target}: 1 to 3 minutes on two cores, this once")
    unfinished = target.with_name(f"{target.name}.new")
    for module in _MODULES:
        await building.compile_(
            module,
            [go, "install", "-trimpath", "-ldflags=-s -w", module],
            log=target.with_name(f"{target.name}.log"),
            env={"CGO_ENABLED": "0", "GOBIN": str(unfinished)},
            compiling="compiling its packages",
            remedy="; mend it and try again",
            say=say,
        )
    unfinished.rename(target)


def main() -> int:
    """Build."""
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
