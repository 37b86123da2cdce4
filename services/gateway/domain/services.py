"""Workloads as Flux v1's clients read them (`v6/services`, `v11/services`)."""

from collections.abc import Collection, Mapping
from typing import Any

from services.gateway.domain.view import View
from shared.contract import Rollout, StateDeclared, Workload, WorkloadChanged

_BOOLEAN = ("automated", "locked", "ignore")


def services(
    view: View,
    readonly: Collection[str],
    *,
    namespace: str = "",
    wanted: Collection[str] = (),
) -> list[Mapping[str, Any]]:
    """
    Return every workload that is declared or live, or those of *namespace*, or those *wanted*.

    *readonly* holds the repositories that are never written.
    """
    declared = view.workloads()
    names = sorted({*declared, *view.live})
    return [
        _service(view, name, declared.get(name), readonly)
        for name in names
        if (not namespace or name.startswith(f"{namespace}:")) and (not wanted or name in wanted)
    ]


def current_images(
    live: WorkloadChanged | None, declared: Workload | None
) -> list[tuple[str, str]]:
    """Return container and image: as it runs, else as declared; declared order first."""
    running = dict(live.containers) if live else {}
    ordered = [container.name for container in declared.containers] if declared else []
    written = {c.name: c.image for c in declared.containers} if declared else {}
    names = [name for name in ordered if not running or name in running]
    names += [name for name in running if name not in names]
    return [(name, running.get(name) or written[name]) for name in names]


def _service(
    view: View,
    name: str,
    found: tuple[StateDeclared, Workload] | None,
    readonly: Collection[str],
) -> Mapping[str, Any]:
    live = view.live.get(name)
    state, workload = found or (None, None)
    policies = dict(workload.policies) if workload else {}
    return {
        "ID": name,
        "Containers": [
            {"Name": container, "Current": _info(image), "LatestFiltered": _info("")}
            for container, image in current_images(live, workload)
        ],
        "ReadOnly": _read_only(view, state, readonly),
        "Status": live.status if live else "unknown",
        "Rollout": _rollout(live.rollout if live else Rollout()),
        "SyncError": view.sync_error(state.sync, name) if state else "",
        "Antecedent": "",
        "Labels": dict(live.labels) if live else None,
        **{policy.capitalize(): policies.get(policy) == "true" for policy in _BOOLEAN},
        "Policies": policies,
    }


def _info(image: str) -> Mapping[str, Any]:
    return {"ID": image, "Labels": {}}


def _rollout(rollout: Rollout) -> Mapping[str, Any]:
    return {
        "Desired": rollout.desired,
        "Updated": rollout.updated,
        "Ready": rollout.ready,
        "Available": rollout.available,
        "Outdated": rollout.outdated,
        # An empty list would mean failure to `release --watch`.
        "Messages": list(rollout.messages) or None,
    }


def _read_only(view: View, state: StateDeclared | None, readonly: Collection[str]) -> str:
    if state is None:
        return "NotInRepo" if view.declared else "NotReady"
    return "ReadOnlyMode" if state.repository in readonly else ""
