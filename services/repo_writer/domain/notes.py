"""
What Flux v1 puts into the git note of a commit: the job, its spec, and what came of it.

For people and tools that read those notes. We ourselves read the trailers, which can't be lost.
"""

import json
from collections.abc import Mapping
from typing import Any

from services.repo_writer.domain.plan import Plan
from shared.contract import (
    AnySpec,
    Cause,
    Change,
    ContainersSpec,
    ImageSpec,
    PolicySpec,
    RollbackSpec,
    UpdateRequested,
)
from shared.manifests.holds import HELD


def note(job: str, plan: Plan, order: UpdateRequested | None) -> str:
    """Return the note of the commit that *plan* became, as JSON in one line of ASCII."""
    cause = order.cause if order else Cause()
    kind, spec = _spec(order.spec, plan) if order else _own(plan)
    told = {
        "jobID": job,
        "spec": {
            "type": kind,
            "cause": {"Message": cause.message, "User": cause.user},
            "spec": spec,
        },
        "result": None if kind == "policy" else _result(plan),
    }
    return json.dumps(told) + "\n"


def _spec(spec: AnySpec, plan: Plan) -> tuple[str, Mapping[str, Any]]:
    match spec:
        case ImageSpec():
            return spec.kind, {
                "ServiceSpecs": spec.workloads,
                "ImageSpec": spec.image,
                "Kind": "execute",
                "Excludes": spec.excludes or None,
                "Force": spec.force,
            }
        case ContainersSpec():
            return spec.kind, {
                "Kind": "execute",
                "ContainerSpecs": {name: _changes(some) for name, some in spec.changes.items()},
                "SkipMismatches": spec.skip_mismatches,
                "Force": spec.force,
            }
        case PolicySpec():
            return spec.kind, {
                name: {"add": dict(one.add), "remove": dict.fromkeys(one.remove, "true")}
                for name, one in spec.changes.items()
            }
        case RollbackSpec():  # Flux v1 knows none; this is what it means
            changes = {name: one.changes for name, one in plan.result.items() if one.changes}
            return _spec(ContainersSpec(changes=changes), plan)


def _own(plan: Plan) -> tuple[str, Mapping[str, Any]]:
    """Return what nobody ordered: an update, or the hold of one."""
    if not plan.held:
        return "auto", _automated(plan)
    return "policy", {name: {"add": {HELD: "true"}, "remove": {}} for name in sorted(plan.held)}


def _automated(plan: Plan) -> Mapping[str, Any]:
    return {
        "Changes": [
            {
                "WorkloadID": name,
                "Container": {"Name": change.container, "Image": change.current},
                "ImageID": change.target,
            }
            for name, one in sorted(plan.result.items())
            for change in one.changes
        ]
    }


def _result(plan: Plan) -> Mapping[str, Any]:
    return {
        name: {
            "Status": one.status,
            **({"Error": one.error} if one.error else {}),
            "PerContainer": _changes(one.changes) or None,
        }
        for name, one in sorted(plan.result.items())
    }


def _changes(changes: tuple[Change, ...]) -> list[Mapping[str, str]]:
    return [
        {"Container": one.container, "Current": one.current, "Target": one.target}
        for one in changes
    ]
