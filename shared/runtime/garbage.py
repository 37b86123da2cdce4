"""
Collects garbage seldom: to look through all that lives makes the event loop stand still.

Reference counts free nearly everything at once; what is left are cycles. By Python's defaults a
service that takes in 10,000 workloads spends more time looking for them than reading, in pauses of
100 ms and more.
"""

import gc

THRESHOLDS = (20_000, 5, 100)
"""New containers until the youngest are looked through, and such rounds until older ones are."""


def collect_seldom() -> None:
    """Do so in this process from now on."""
    gc.set_threshold(*THRESHOLDS)


def keep_all() -> None:
    """Leave out what is there now, in every collection to come."""
    gc.collect()
    gc.freeze()
