"""When an object is ready: each kind by its rule."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.cluster_applier.domain.health import has_health, health
from shared.manifests import ObjectId

CASES = Path(__file__).parents[2] / "testdata" / "kstatus" / "cases.json"
STATES = {"Current": "ready", "InProgress": "progressing", "Failed": "failed"}
STATES |= {"Terminating": "terminating"}


@pytest.mark.parametrize(("value", "status"), json.loads(CASES.read_text()))
def test_an_object_does_as_kstatus_says(value: dict[str, Any], status: str) -> None:
    found = health(value)
    assert found.state == STATES[status]
    assert bool(found.message) == (status != "Current")


def shown(kind: str, version: str = "apps/v1", spec: Any = None, **status: Any) -> dict[str, Any]:
    metadata = {"name": "a", "generation": 2}
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": metadata,
        "spec": spec or {},
        "status": status,
    }


def conditions(**states: str) -> list[dict[str, str]]:
    return [
        {"type": kind, "status": state, "message": f"{kind}!"} for kind, state in states.items()
    ]


DONE = {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3}
THREE = {"replicas": 3}
SET = {"currentRevision": "a", "updateRevision": "a", "currentReplicas": 3, **DONE}
DAEMONS = {
    "observedGeneration": 2,
    "desiredNumberScheduled": 3,
    "currentNumberScheduled": 3,
    "updatedNumberScheduled": 3,
    "numberAvailable": 3,
    "numberReady": 3,
}
UP = conditions(Available="True")
EXCEEDED = [{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "late"}]


@pytest.mark.parametrize(
    ("value", "state"),
    [
        (shown("Deployment", spec=THREE, availableReplicas=3, conditions=UP, **DONE), "ready"),
        (shown("Deployment", spec=THREE, availableReplicas=2, **DONE), "progressing"),
        (shown("Deployment", spec=THREE, **{**DONE, "observedGeneration": 1}), "progressing"),
        (shown("Deployment", spec=THREE, **{**DONE, "replicas": 4}), "progressing"),
        (shown("Deployment", spec=THREE, conditions=EXCEEDED, **DONE), "failed"),
        (shown("Deployment", spec=THREE), "progressing"),
        (shown("Deployment", spec={"replicas": 0}, observedGeneration=2, conditions=UP), "ready"),
        (shown("StatefulSet", spec=THREE, **SET), "ready"),
        (shown("StatefulSet", spec=THREE, **{**SET, "updateRevision": "b"}), "progressing"),
        (shown("StatefulSet", spec={"updateStrategy": {"type": "OnDelete"}}), "ready"),
        (shown("DaemonSet", **DAEMONS), "ready"),
        (shown("DaemonSet", **{**DAEMONS, "numberReady": 1}), "progressing"),
        (shown("Job", "batch/v1"), "progressing"),
        (shown("Job", "batch/v1", startTime="now"), "progressing"),
        (shown("Job", "batch/v1", conditions=conditions(Suspended="True")), "ready"),
        (shown("Job", "batch/v1", conditions=conditions(Complete="True")), "ready"),
        (shown("Job", "batch/v1", conditions=conditions(Failed="True")), "failed"),
        (shown("Pod", "v1", phase="Running", conditions=conditions(Ready="True")), "ready"),
        (shown("Pod", "v1", phase="Pending"), "progressing"),
        (shown("Pod", "v1", phase="Pending", conditions=conditions(PodScheduled="False")),
         "progressing"),
        (shown("Pod", "v1", phase="Failed"), "failed"),
        (shown("PersistentVolumeClaim", "v1", phase="Bound"), "ready"),
        (shown("PersistentVolumeClaim", "v1", phase="Pending"), "progressing"),
        (shown("Service", "v1", {"type": "LoadBalancer"}), "progressing"),
        (shown("Service", "v1", {"type": "ClusterIP"}), "ready"),
        (
            shown(
                "CustomResourceDefinition",
                "apiextensions.k8s.io/v1",
                conditions=conditions(Established="True"),
            ),
            "ready",
        ),
        (shown("PodDisruptionBudget", "policy/v1", observedGeneration=2, desiredHealthy=1),
         "ready"),
        (shown("PodDisruptionBudget", "policy/v1"), "progressing"),
        (shown("Gear", "x.io/v1"), "ready"),
        (shown("Gear", "x.io/v1", conditions=conditions(Ready="True")), "ready"),
        (shown("Gear", "x.io/v1", conditions=conditions(Ready="Unknown")), "progressing"),
        (shown("Gear", "x.io/v1", conditions=conditions(Reconciling="True")), "progressing"),
        (shown("Gear", "x.io/v1", conditions=conditions(Stalled="True")), "failed"),
        (shown("Gear", "x.io/v1", observedGeneration=1), "progressing"),
        (shown("Deployment", "x.io/v1"), "ready"),
        ({"metadata": {"deletionTimestamp": "now"}}, "terminating"),
        ({"status": {"conditions": ["nonsense", None]}, "spec": "nonsense"}, "ready"),
    ],
)  # fmt: skip
def test_each_kind_is_ready_by_its_own_rule(value: dict[str, Any], state: str) -> None:
    found = health(value)
    assert found.state == state
    assert bool(found.message) == (state != "ready")


def test_nobody_waits_for_what_has_no_health() -> None:
    assert not has_health(ObjectId.parse("ConfigMap n/a"))
    assert not has_health(ObjectId.parse("rbac.authorization.k8s.io/Role n/a"))
    assert has_health(ObjectId.parse("apps/Deployment n/a"))
    assert has_health(ObjectId.parse("vault.example.com/Secret n/a"))
