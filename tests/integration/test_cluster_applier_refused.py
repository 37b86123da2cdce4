"""What the API server refuses, told with place, reason and remedy: on the real control plane."""

import asyncio

import pytest

from tests.integration.applier_stage import Stage, applies, config_map

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

WORKLOAD = """---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "registry.example.com/web:1"}]}
"""


def container(text: str) -> str:
    return WORKLOAD.replace('web:1"}', f'web:1", {text}}}')


def of_kind(kind: str, text: str) -> str:
    return f"---\napiVersion: v1\nkind: {kind}\nmetadata: {{name: web}}\n{text}\n"


REFUSED = {
    "a variable twice": (
        container('env: [{name: A, value: "1"}, {name: A, value: "2"}]'),
        'duplicate entries for key [name="A"]',
    ),
    "a port twice": (
        container("ports: [{containerPort: 80}, {containerPort: 80}]"),
        'duplicate entries for key [containerPort=80,protocol="TCP"]',
    ),
    "a container twice": (
        container("}, {name: web, image: other"),
        'containers: duplicate entries for key [name="web"]',
    ),
    "a number for a text": (container("env: [{name: A, value: 5}]"), "expected string"),
    "a text for a number": (container("ports: [{containerPort: '80'}]"), "expected numeric"),
    "a fraction": (container("ports: [{containerPort: 80.5}]"), "cannot convert float64 to int32"),
    "no quantity": (
        container("resources: {limits: {cpu: lots}}"),
        "quantities must match the regular expression",
    ),
    "an unknown field": (
        WORKLOAD.replace("  replicas: 0", "  replicaz: 0"),
        "field not declared in schema",
    ),
    "an invalid value": (
        WORKLOAD.replace("replicas: 0", "replicas: -1"),
        "must be greater than or equal to 0",
    ),
    "a name too long": (
        of_kind("ConfigMap", "").replace("web", "w" * 300),
        "must be no more than 253 characters",
    ),
    "a name with more than a name": (
        of_kind("ConfigMap", "").replace("web", "'web?dryRun=All#x'"),
        "metadata.name: Invalid value",
    ),
    "no base64": (of_kind("Secret", "data: {a: '#hunter2'}"), "in base64 under data"),
    "no base64 in a map": (of_kind("ConfigMap", "binaryData: {a: '#'}"), "illegal base64 data"),
    "two megabytes": (
        of_kind("ConfigMap", f"data: {{a: {'x' * 2_000_000}}}"),
        "Too long: may not be more than 1048576 bytes",
    ),
    "four megabytes": (
        of_kind("ConfigMap", f"data: {{a: {'x' * 4_000_000}}}"),
        "Request entity too large: limit is 3145728",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_is_refused_for_ever_is_told_with_its_place_and_sent_once(
    stage: Stage, what: str
) -> None:
    text, said = REFUSED[what]
    async with stage.applying():
        await stage.declare(config_map("a", k="1") + text)
        done = await stage.completed()
        assert done.counts == {"created": 1, "failed": 1}
        (problem,) = done.problems
        assert said in problem.message
        assert "hunter2" not in problem.message
        assert (problem.file, problem.line) == ("a.yaml", 8)
        before = applies()
        await asyncio.sleep(2.5)  # what may pass is tried again after two seconds
        await stage.declare(config_map("a", k="1") + text)
        await stage.completed()
        assert applies() == before
        await stage.declare(config_map("a", k="1") + WORKLOAD)
        assert (await stage.completed()).counts == {"created": 1, "unchanged": 1}


async def test_any_number_of_objects_that_are_none_of_their_kind_spoil_no_other(
    stage: Stage,
) -> None:
    bad, _ = REFUSED["no quantity"]
    many = "".join(
        bad.replace("metadata: {name: web}", f"metadata: {{name: a{n}}}") for n in range(6)
    )
    async with stage.applying():
        await stage.declare(many + WORKLOAD)
        assert (await stage.completed()).counts == {"created": 1, "failed": 6}


SELECTED = (
    "selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}},"
    " spec: {containers: [{name: c, image: x}]}}"
)
CHANGES = {
    "Service": ("spec: {ports: [{port: 80}]}", "spec: {clusterIP: None, ports: [{port: 80}]}"),
    "Secret": ("immutable: true\ndata: {a: eA==}", "immutable: true\ndata: {a: eQ==}"),
    "ConfigMap": ("immutable: true\ndata: {a: x}", "immutable: true\ndata: {a: z}"),
    "Pod": (
        "spec: {containers: [{name: c, image: x}]}",
        "spec: {containers: [{name: c, image: x, command: [a]}]}",
    ),
    "PersistentVolumeClaim": (
        "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 2Gi}}}",
        "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}",
    ),
    "batch/v1 Job": (
        "spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}",
        "spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: z}]}}}",
    ),
    "apps/v1 StatefulSet": (f"spec: {{serviceName: a, {SELECTED}}}", f"spec: {{{SELECTED}}}"),
    "rbac.authorization.k8s.io/v1 RoleBinding": (
        "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}",
        "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_a_change_that_is_never_taken_is_told_with_what_helps(
    stage: Stage, what: str
) -> None:
    version, _, kind = what.rpartition(" ")
    before, after = (
        of_kind(kind, text).replace("apiVersion: v1", f"apiVersion: {version or 'v1'}")
        for text in CHANGES[what]
    )
    forced = after.replace("{name: web}", "{name: web, annotations: {fluxcd.io/force: enabled}}")
    async with stage.applying():
        await stage.declare(config_map("a", k="1") + before)
        await stage.completed()
        await stage.declare(config_map("a", k="1") + after)
        (problem,) = (await stage.completed()).problems
        assert "change it back, or " in problem.message
        assert len(problem.message) < 1_300
        holds_data = kind == "PersistentVolumeClaim"
        assert ("with all that it holds" in problem.message) == holds_data
        await stage.declare(config_map("a", k="1") + forced)
        counts = (await stage.completed()).counts
        assert counts == {"unchanged": 1, "failed" if holds_data else "created": 1}


async def test_a_version_that_is_served_no_more_is_told_with_those_that_are(stage: Stage) -> None:
    old = "---\napiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: a}\n"
    asks = "---\napiVersion: authorization.k8s.io/v1\nkind: SubjectAccessReview\n"
    async with stage.applying():
        await stage.declare(config_map("a", k="1") + old + f"{asks}metadata: {{name: a}}\n")
        done = await stage.completed()
        said = {one.line: one.message for one in done.problems}
        assert "no extensions/v1beta1 Ingress" in said[8]
        assert "but networking.k8s.io/v1 Ingress" in said[8]
        assert "no authorization.k8s.io/v1 SubjectAccessReview that can be applied" in said[12]
