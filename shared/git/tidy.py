"""
Keeps a mirror from silting up: every fetch leaves a pack, and libgit2 joins none.

git's own command does it where it is installed; elsewhere the mirror is made anew.
"""

import os
import shutil
import subprocess
from pathlib import Path

MANY_PACKS = 50
MANY_LOOSE = 27
"""Of one 256th of all objects: git's own measure of some 7,000."""
PATIENCE = 300.0


def is_needed(directory: Path) -> bool:
    """Tell whether the repository in *directory* has become slow to read."""
    return (
        len(list(directory.glob("objects/pack/*.pack"))) > MANY_PACKS
        or len(list(directory.glob("objects/17/*"))) > MANY_LOOSE
    )


def tidy(directory: Path) -> bool:
    """Join the packs of the repository in *directory*; False if that could not be done."""
    git = shutil.which("git")
    if git is None:
        return False
    options = ["gc.autoDetach=false", f"gc.autoPackLimit={MANY_PACKS}", "gc.pruneExpire=now"]
    settings = [part for option in options for part in ("-c", option)]
    # Nobody's settings but ours: a person's may sign, prune or talk elsewhere.
    environment = {
        "PATH": os.pathsep.join([str(Path(git).parent), os.defpath]),
        "HOME": str(directory),
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C",
    }
    try:
        subprocess.run(
            [git, "-C", str(directory), *settings, "gc", "--auto", "--quiet"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return not is_needed(directory)
