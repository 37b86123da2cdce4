"""
The one model of `flux.yaml`, read by every service; each takes its own slice.

`model` is what may be written, `load` reads it and reports all mistakes together with their
lines. Secrets are only ever references, see `secrets`. `python -m shared.config check` tells
mistakes without starting anything.
"""
