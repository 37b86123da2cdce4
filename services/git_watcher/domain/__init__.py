"""
What the files of a revision mean: pure, bytes in and values out.

`desired` says what of an object is applied, `render` puts a sync together out of its files.
"""
