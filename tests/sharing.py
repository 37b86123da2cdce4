"""
Which tests one process runs when several share the work: those that stand on the same sandbox.

To start a broker and a control plane takes longer than most tests. What takes longest comes first,
so that no process is left alone with it at the end.
"""

from pathlib import PurePath

from xdist.scheduler import LoadScopeScheduling

TOGETHER = ("tests/faults", "tests/e2e", "tests/contract")
"""One sandbox each; of all other tests those of a file stay together."""


class ByPlace(LoadScopeScheduling):
    """Gives out what is to stay together."""

    def _split_scope(self, nodeid: str) -> str:
        return place_of(nodeid)


def place_of(nodeid: str) -> str:
    """Return the folder or the file by which a test is given out."""
    file = nodeid.partition("::")[0]
    folder = str(PurePath(file).parent)
    return folder if folder in TOGETHER else file


def rank(nodeid: str) -> int:
    """Return when a test's turn comes, after the folder that it is in."""
    folders = (*TOGETHER, "tests/integration")
    return next(
        (number for number, folder in enumerate(folders) if nodeid.startswith(f"{folder}/")),
        len(folders),
    )
