"""What a process keeps among temporary files is gone with it, though it be killed."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.runtime.own_folder import OwnFolder, own_folder

ROOT = Path(__file__).parents[3]
_PROGRAM = """
import sys
from shared.runtime.own_folder import OwnFolder
folder = OwnFolder("gpg")
(folder.path / "key").touch()
print(folder.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


@contextmanager
def another() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Run a process that has such a folder; kill it at the end."""
    argv, pipe = [sys.executable, "-c", _PROGRAM], subprocess.PIPE
    with subprocess.Popen(argv, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL


def test_what_a_killed_process_left_is_removed_by_the_next_of_that_kind() -> None:
    with another() as (_, left):
        pass
    assert (left / "key").exists()
    with own_folder("render"):
        assert left.exists()
    with own_folder("gpg"):
        assert not left.exists()


def test_what_a_process_that_lives_has_is_left_alone() -> None:
    with another() as (_, there), own_folder("gpg"):
        assert (there / "key").exists()


def test_a_process_may_have_several_of_a_kind(place: Path) -> None:
    first, second = OwnFolder("gpg"), OwnFolder("gpg")
    assert {first.path, second.path} == set(place.iterdir())
    assert second.path.stat().st_mode & 0o077 == 0
    first.remove()
    assert list(place.iterdir()) == [second.path]
    second.remove()


def test_it_is_gone_with_its_block_though_that_fails(place: Path) -> None:
    with pytest.raises(IsADirectoryError), own_folder("render") as folder:
        folder.write_text("it is a folder")
    assert not list(place.iterdir())
