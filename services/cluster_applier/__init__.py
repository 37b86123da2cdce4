"""
Makes clusters equal to git, and keeps them so.

In: state.declared, bundles, sync.requested (signals), suspend.requested (orders), diff.question.
Out: sync.completed, sync.failed, sync.held, workload.changed, drift.corrected, drift.contested,
diff.made; poll.requested where a bundle is missing or old. Read `sync` for what happens to one
sync, `watch` for how drift is seen, `lease` for who sees it, `domain` for what is decided.
"""
