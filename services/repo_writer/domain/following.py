"""
A new revision's state from the one before it, at the cost of what has changed.

Pure. Where that can't be done simply it is None, and everything is put together anew.
"""

from collections.abc import Iterable

from services.repo_writer.domain.reading import File
from services.repo_writer.domain.state import State


def updated(state: State, gone: Iterable[File], new: Iterable[File]) -> State | None:
    """Return *state* with files in the place of others; None where several claim a workload."""
    before, after = [*gone], [*new]
    if state.twice or state.unread or any(file.unread for file in after):
        return None
    workloads = {**state.workloads}
    for file in before:
        for one in file.workloads:
            workloads.pop(str(one.id), None)
    for file in after:
        for one in file.workloads:
            if str(one.id) in workloads:
                return None
            workloads[str(one.id)] = one
    return State(workloads=workloads)
