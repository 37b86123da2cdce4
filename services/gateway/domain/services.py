"""Workloads as Flux v1's clients read them (`v6/services`, `v11/services`)."""

from collections.abc import Collection, Mapping
from typing import Any

from services.gateway.domain.view import View
from shared.contract import Rollout, StateDeclared, Workload, WorkloadChanged

_KINDS = frozenset({"deployment", "daemonset", "statefulset", "cronjob", "helmrelease"})
"""Flux v1's; others are workloads if they have containers."""
_BOOLEAN = ("automated", "locked", "ignore")
_ADDON_NAMESPACE = "kube-system:"
_ADDON_MODE = "addonmanager.kubernetes.io/mode"


def names(view: View, namespace: str = "", wanted: Collection[str] = ()) -> list[str]:
    """
    Return the ids of all workloads that are declared or live, or of *namespace*, or *wanted*.

    A custom resource without containers is none, though it is told how it does.
    Add-ons of the cluster are not shown, as in Flux v1: they are not for us to change.
    """
    chosen = {view.full_name(name) for name in wanted}
    return sorted(
        name
        for name in {*view.workloads(), *_running(view)}
        if (not namespace or name.startswith(f"{namespace}:"))
        and (not wanted or name in chosen)
        and not _is_addon(view, name)
    )


def _running(view: View) -> Collection[str]:
    return [
        name
        for name, one in view.live.items()
        if one.containers or name.partition(":")[2].partition("/")[0] in _KINDS
    ]


def service(view: View, name: str, readonly: Collection[str]) -> Mapping[str, Any]:
    """Return one workload; *readonly* holds the repositories that are never written."""
    live = view.live.get(name)
    state, workload = view.workloads().get(name) or (None, None)
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


def current_images(
    live: WorkloadChanged | None, declared: Workload | None
) -> list[tuple[str, str]]:
    """Return container and image: as it runs, else as declared; declared order first."""
    running = dict(live.containers) if live else {}
    written = {c.name: c.image for c in declared.containers} if declared else {}
    ordered = [name for name in written if not running or name in running]
    ordered += [name for name in running if name not in written]
    return [(name, running.get(name) or written[name]) for name in ordered]


def _is_addon(view: View, name: str) -> bool:
    live = view.live.get(name)
    if live is None or not name.startswith(_ADDON_NAMESPACE) or name in view.workloads():
        return False
    labels = live.labels
    return labels.get("kubernetes.io/cluster-service") == "true" or labels.get(_ADDON_MODE) in {
        "EnsureExists",
        "Reconcile",
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
    if state is not None:
        return "ReadOnlyMode" if state.repository in readonly else ""
    if not view.branches:
        return "NoRepo"
    return "NotInRepo" if view.declared else "NotReady"
