"""What was needed for a moment only is not kept."""

import subprocess
import sys

SCRIPT = """
import re
from pathlib import Path
from shared.runtime import memory
if {give_back}:
    memory.give_back()
b"x" * 8_000_000  # from which on the C library would keep blocks of that size
small, large = [], []
for n in range(100):
    large.append(b"x" * 1_000_000)
    small.append(b"x" * (1_000 + n))
large.clear()
print(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def resident(*, give_back: bool) -> int:
    """Return what is resident after large blocks were freed, in kB."""
    argv = [sys.executable, "-c", SCRIPT.format(give_back=give_back)]
    return int(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


def test_large_blocks_that_were_freed_are_given_back() -> None:
    kept, given_back = resident(give_back=False), resident(give_back=True)
    assert given_back < kept - 50_000, (kept, given_back)
