"""
The main job, for real, told as it happens: `make demo`.

`story` tells and times, `workloads` is the repository that is pushed, `scenes` are the steps; each
waits until what it tells was seen in git, in the registry and in the cluster.
"""
