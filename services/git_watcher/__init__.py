"""
Observes branches, and says what their syncs declare.

In: poll.requested (signals), update.pushed, head.question. Out: revision.observed, state.declared,
bundles, head.told. Read `handlers` for what a poll does, `shared.bundle.render` for what files
mean, and `generating` for where programs print them.
"""
