"""
Observes registries: which tags there are, and which of them a policy prefers.

In: state.declared (folded by every replica), scan.requested (signals), tags.question. Out:
images.found, scan.completed, scan.failed, tags.listed. Only automated images are read by itself;
others when a person asks. Read `handlers` for a scan, `oci_registry` for how a registry is read.
"""
