"""
Decides what is wanted and what is found: pure. No network, no clock, no bus.

`wanted` folds what git declares into who uses which image; `found` says whom a list of tags moves.
"""
