"""
Make the pair of keys by which a target's Secrets travel sealed, once for each target.

The private key is written to FILE, for cluster-applier alone; the public one is printed, for
git-watcher: flux.yaml names the two as `targets[].seal`.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from shared.bundle.sealing import generate


def write(file: Path) -> str:
    """
    Write a new private key to *file*, which only we may read, and return the public one.

    Raises:
        OSError: the file is there already, or cannot be written.
    """
    private, public = generate()
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(f"{private}\n")
    return public


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the value is the exit code."""
    parser = argparse.ArgumentParser(prog="python -m shared.bundle.keys", description=__doc__)
    parser.add_argument("file", metavar="FILE", type=Path, help="where the private key goes")
    file = parser.parse_args(argv).file
    try:
        public = write(file)
    except OSError as error:
        print(f"{file}: {error.strerror}; name a new file", file=sys.stderr)  # noqa: T201 - a command
        return 1
    print(public)  # noqa: T201 - same
    return 0


if __name__ == "__main__":
    sys.exit(main())
