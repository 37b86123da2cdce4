"""
Folders among temporary files that go with their process, though it be killed.

What is in them are keys and other people's files. A killed process removes nothing; but its locks
end with it, and by them the next process knows what nobody needs any more.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class OwnFolder:
    """A fresh folder of this process; remove it at the end."""

    def __init__(self, kind: str) -> None:
        """Make one of *kind*, after those of that kind which killed processes left are removed."""
        named = f"flux-{kind}-"
        made = Path(tempfile.mkdtemp(prefix="flux-")).resolve()
        _remove_left_behind(made.parent, named)
        self._lock = os.open(made, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        # Nobody may find it by its name before it is locked.
        self.path = made.rename(made.with_name(made.name.replace("flux-", named, 1)))

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


@contextmanager
def own_folder(kind: str) -> Iterator[Path]:
    """Make one for the length of the block."""
    folder = OwnFolder(kind)
    try:
        yield folder.path
    finally:
        folder.remove()


def _remove_left_behind(place: Path, named: str) -> None:
    for folder in place.glob(f"{named}*"):
        try:
            lock = os.open(folder, os.O_RDONLY)
        except OSError:  # another user's, or gone meanwhile
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass  # a process that lives has it
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
