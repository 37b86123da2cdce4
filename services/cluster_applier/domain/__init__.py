"""
Decides: pure, values in and values out. No cluster, no clock, no bus.

`stages` is the order of kinds, `plan` what to apply and to delete, `fence` whether a bundle may be
applied at all, `inventory` what we applied, `ownership` how drift is recognised, `drift` when it is
put back, `status` how a workload does.
"""
