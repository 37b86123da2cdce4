"""Packages of the system are installed once, however many parts of the sandbox need them."""

import asyncio
from pathlib import Path

import pytest

from sandbox import apt
from sandbox.errors import SandboxError


@pytest.fixture
def apt_get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the place of apt-get, which notes its calls, and fails for `unknown`."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "apt-get"
    calls = tmp_path / "calls"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {calls}\ncase "$*" in *unknown*) exit 100;; esac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return calls


async def test_two_that_need_a_package_at_once_install_it_once_and_say_so_once(
    apt_get: Path,
) -> None:
    said: list[str] = []
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(apt.install("sandbox-test-once", why="a test", say=said.append))

    assert len(calls(apt_get)) == 1
    assert [line.split()[0] for line in said] == ["installing", "installed"]


async def test_a_package_that_could_not_be_installed_is_tried_again_by_the_next(
    apt_get: Path,
) -> None:
    for _ in range(2):
        with pytest.raises(SandboxError, match="apt-get"):
            await apt.install("unknown", why="a test", say=lambda _: None)

    assert [call.split()[0] for call in calls(apt_get)] == ["install", "update", "install"] * 2


def calls(noted: Path) -> list[str]:
    return noted.read_text().splitlines()
