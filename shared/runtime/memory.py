"""
Gives back to the system what was needed for a moment only.

glibc keeps large blocks that were freed, more of them the larger they were, and in as many arenas
as there are threads. A service that reads, encodes and compresses 10,000 objects would hold a sixth
of its memory for nothing.
"""

import ctypes

ARENAS, MMAP_THRESHOLD, TRIM_THRESHOLD = (-8, 2), (-3, 128 * 1024), (-1, 256 * 1024)
"""Options of `mallopt` with their values; the sizes are in bytes."""


def give_back() -> None:
    """Do so in this process from now on; where there is no glibc nothing changes."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in (ARENAS, MMAP_THRESHOLD, TRIM_THRESHOLD):
            mallopt(option, value)
