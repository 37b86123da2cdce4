"""
A small Kubernetes API server that starts at once, for the demo and for quick tests.

It answers what appliers of manifests, people with kubectl and the demo ask, in the same way as
a real API server: discovery, reads, watches, the ways to write with field ownership, deletion
with its consequences, and a Deployment that becomes ready although nothing runs.

It must not know Flux, and nothing of Flux may know it. What it is made of, from the inside out:

- `shapes`, `kinds`: what each kind looks like; recorded from a real server by `record`
- `fields`, `compare`, `merge`, `ownership`: server-side apply, as pure functions
- `patches`, `selectors`, `defaults`, `checks`, `answers`: the other rules, as pure functions, too
- `store`: the objects and the log of their changes; `watches` follows it
- `writing` (of `bodies`), `deleting`: what people and programs change
- `controllers`, with `rollouts` and `definitions`: what happens by itself
- `discovery`, `listing`, `views`, `scale`, `http`, `__main__`: how it is seen from outside

One suite of tests runs on it and on the real control plane, so that it cannot drift.
"""
