"""
What both users of git need: names of repositories, and a mirror of one branch on disk.

`identity` is pure. `mirror` is the only door to pygit2; it runs it in threads and translates its
errors. A mirror is a cache: losing it costs a clone and nothing else.
"""
