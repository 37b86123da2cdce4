"""How the parts of the sandbox say what they do: a function that takes one line."""

import sys
from collections.abc import Callable

Say = Callable[[str], None]


def to_stderr(line: str) -> None:
    """Tell the terminal, and leave stdout to results."""
    print(f"sandbox: {line}", file=sys.stderr, flush=True)


def silent(line: str) -> None:
    """Tell nobody: *line* is dropped."""
