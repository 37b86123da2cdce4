"""
Installs a package of the system where that is allowed, and says what and why.

Only as root, and only where apt is at home; everywhere else the caller's next way counts.
"""

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox import process
from sandbox.errors import SandboxError
from sandbox.progress import Say

_POLICY = Path("/usr/sbin/policy-rc.d")
_one_at_a_time = asyncio.Lock()
_installed: set[str] = set()


def is_allowed() -> bool:
    """Tell whether we may install anything here."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


async def install(package: str, *, why: str, say: Say) -> None:
    """
    Install *package* without what it merely recommends; once, however many ask at a time.

    Raises:
        SandboxError: apt cannot.
    """
    async with _one_at_a_time:
        if package in _installed:  # by another part, while this one waited
            return
        await _install(package, why=why, say=say)
        _installed.add(package)


async def _install(package: str, *, why: str, say: Say) -> None:
    command = ["apt-get", "install", "-y", "--no-install-recommends"]
    command += ["-o", "DPkg::Lock::Timeout=300", package]
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    say(f"installing {package} ({why}): {' '.join(command)}")
    with _no_service_started():
        try:
            await process.run(command, env=env)
        except SandboxError:
            say("apt does not know it yet: apt-get update, then once more")
            await process.run(["apt-get", "update", "-q"], env=env)
            await process.run(command, env=env)
    say(f"installed {package}")


@contextmanager
def _no_service_started() -> Iterator[None]:
    """Keep the package's own service from starting: it would take the well-known port."""
    if _POLICY.exists() or not os.access(_POLICY.parent, os.W_OK):
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)
