"""
Programs that work with our keys: what they are given, and what they say of a failure.

They find nothing of our environment, and a home that is as good as empty; what they say is masked.
Runs in threads.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.config import secrets
from shared.runtime.errors import PermanentError, TemporaryError
from shared.runtime.masking import Masking

PATIENCE = 20.0
_MASK = Masking(secrets.known)


def read(key: secrets.SecretRef, *, what: str) -> str:
    """
    Return a key.

    Raises:
        TemporaryError: it is not there: people can put it there, and the same work succeeds.
    """
    try:
        return key.read()
    except PermanentError as error:
        raise TemporaryError(what, str(error)) from error


def run(argv: Sequence[str], data: bytes, home: Path, *, what: str) -> str:
    """
    Return what a program makes of *data*; *home* is all that it finds.

    Raises:
        TemporaryError: it fails, or takes too long.
    """
    environment: Mapping[str, str] = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LC_ALL": "C",
    }
    program = Path(argv[0]).name
    try:
        done = subprocess.run(
            argv, input=data, capture_output=True, env=environment, timeout=PATIENCE, check=True
        )
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.decode(errors="replace").split())
        raise TemporaryError(what, _MASK(f"{program}: {said}")) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TemporaryError(what, f"{program} is not there, or does not answer") from error
    return done.stdout.decode()
