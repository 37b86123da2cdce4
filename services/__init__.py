"""
The stages of Flux, each a process of its own. They meet only on the bus.

`python -m services` runs all of them in one terminal; `python -m services.<service>` runs one.
"""
