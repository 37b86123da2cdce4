"""
Makes clusters equal to git, and keeps them so.

In: state.declared, bundles, sync.requested (signals). Out: sync.completed, sync.failed,
workload.changed, drift.corrected, drift.contested; poll.requested where a bundle is missing or old.
Read `sync` for what happens to one sync,
`watch` for how drift is seen, `lease` for who sees it, `domain` for what is decided.
"""
