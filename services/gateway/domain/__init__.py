"""
What the gateway knows and how it says it: pure, events in and JSON out.

`view` folds the log, `jobs` and `branches` are parts of it; `specs` reads what clients send,
`services` and `images` write what they get.
"""
