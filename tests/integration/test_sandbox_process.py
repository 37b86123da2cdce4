"""Children of the sandbox end when they should, whatever happens to us."""

import asyncio
import os
import signal
import sys
import textwrap
from pathlib import Path

import pytest

from sandbox import proctree
from sandbox.errors import SandboxError
from sandbox.process import Child, run, running

DEAF = "trap '' TERM; sleep 60 & echo ready; wait; wait"


async def wait_gone(family: set[proctree.Process]) -> None:
    async with asyncio.timeout(30):
        while any(proctree.is_alive(process) for process in family):
            await asyncio.sleep(0.02)


async def test_a_deaf_child_and_its_own_children_are_ended_after_the_grace(tmp_path: Path) -> None:
    child = await Child.start("deaf", ["sh", "-c", DEAF], log=tmp_path / "log")
    await child.wait_until(lambda: _printed(child, "ready"), timeout=5)
    family = proctree.descendants(child.pid)
    assert family

    await child.stop(grace=0.2)

    assert child.returncode == -signal.SIGKILL
    await wait_gone(family)


async def test_children_end_when_we_are_killed(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import asyncio, sys
        from pathlib import Path
        from sandbox.process import Child
        async def main():
            child = await Child.start("sleep", ["sleep", "60"], log=Path(sys.argv[1]))
            print(child.pid, flush=True)
            await child.wait()
        asyncio.run(main())
        """
    )
    us = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path / "log"), stdout=asyncio.subprocess.PIPE
    )
    assert us.stdout is not None
    await us.stdout.readline()
    family = proctree.descendants(us.pid)
    assert family

    os.kill(us.pid, signal.SIGKILL)
    await us.wait()

    await wait_gone(family)


async def test_a_child_that_ends_early_tells_why(tmp_path: Path) -> None:
    async with running("early", ["sh", "-c", "echo no luck; exit 3"], log=tmp_path / "log") as it:
        with pytest.raises(SandboxError, match=r"early did not start: exit code 3.*\n.*no luck"):
            await it.wait_until(lambda: _printed(it, "ready"), timeout=5)


async def test_a_child_that_does_not_become_ready_is_named(tmp_path: Path) -> None:
    async with running("slow", ["sleep", "60"], log=tmp_path / "log") as it:
        with pytest.raises(SandboxError, match="slow is not ready after 0 s"):
            await it.wait_until(lambda: _printed(it, "ready"), timeout=0.1)


async def test_a_command_that_fails_tells_what_it_said() -> None:
    with pytest.raises(SandboxError, match="exit code 2: oh no"):
        await run(["sh", "-c", "echo oh no >&2; exit 2"])


async def _printed(child: Child, word: str) -> bool:
    return word in child.last_lines(5)
