"""
Everything that one sync declares at one revision, rendered and ready to apply.

`render` puts it together out of files, `desired` says what of an object is applied: both pure.
`format` is what it looks like on the wire: a header with an index, and compressed chunks, which
`packing` fills. `store` publishes it to the sync's stream and finds the newest one there. `sealing`
keeps its Secrets from who reads the broker, `keys` makes the keys for it.
"""
