"""The `Scale` of a workload: its replicas as `kubectl scale` reads and writes them."""

from typing import Any

from sandbox.emulator.store import Object


def of(workload: Object) -> dict[str, Any]:
    """Return the scale of *workload*."""
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    labels = workload["spec"].get("selector", {}).get("matchLabels", {})
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {n: v for n, v in workload["metadata"].items() if n in names},
        "spec": {"replicas": workload["spec"].get("replicas", 1)},
        "status": {
            "replicas": workload.get("status", {}).get("replicas", 0),
            "selector": ",".join(f"{name}={value}" for name, value in labels.items()),
        },
    }
