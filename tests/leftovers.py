"""One folder for what a test run and its processes keep among temporary files."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "flux-tests-"


@contextmanager
def temporary_folder() -> Iterator[None]:
    """
    Keep what killed processes leave behind in one folder, and remove it at the end.

    Where this process itself was killed, the next one removes it.
    """
    usual = tempfile.gettempdir()
    _remove_left_behind(Path(usual))
    # In a short path: below it there are gpg's sockets, whose names may have 107 characters.
    folder = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    try:
        yield
    finally:
        os.environ["TMPDIR"] = tempfile.tempdir = usual
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left_behind(place: Path) -> None:
    for folder in place.glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if not _is_alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True
