"""
What the generators and updaters of `.flux.yaml` files make of a repository.

They run in a process of their own, the renderer (`services.renderer`), which is asked by HTTP:
read `protocol` for what is asked, `generators` for when.
"""
