"""
What the services agree on; nothing that a single one owns.

Layers, each knows only those before it: *contract* and *images*, *manifests*, *config*,
*git*, *runtime*, *bus*. Read `contract` first: it is what flows.
"""
