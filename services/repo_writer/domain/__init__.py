"""
Decides what is written: pure, values in and values out. No git, no clock, no bus.

`state` is what the head declares, `plan` what to change. `automated`, `release`, `containers` and
`policies` make plans out of what is asked; `messages` and `trailers` tell them in a commit.
"""
