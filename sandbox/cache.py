"""Where that stays which takes minutes to make: the one folder outside the checkout."""

import os
from pathlib import Path


def folder() -> Path:
    """Name the cache folder: ``$FLUX_CACHE``, else ``flux`` in the user's own cache."""
    if given := os.environ.get("FLUX_CACHE"):
        return Path(given).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "flux"
