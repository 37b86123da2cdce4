"""
How fast and how large, each figure beside the bare work without us, measured in the same run.

`make bench` prints a table and writes `results.json`; `make bench ONLY=<prefix>` runs a part.
`row` is what a figure is, `place` the sandbox, and each other module a group of figures.
"""
