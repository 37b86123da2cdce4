"""
Names of objects: of any (`ObjectId`) and, as Flux v1 writes them, of workloads (`WorkloadId`).

An object without a namespace belongs to the default one; a cluster-scoped object belongs to
none, whatever its manifest says. Which kinds are cluster-scoped is known for the built-in
ones; for others the repository's own custom resource definitions are asked.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

CLUSTER = "<cluster>"
"""What Flux v1 writes in the place of a namespace for cluster-scoped objects."""

ClusterKinds = frozenset[tuple[str, str]]
"""Pairs of group and kind."""

_BY_GROUP = {
    "": ("ComponentStatus", "Namespace", "Node", "PersistentVolume"),
    "admissionregistration.k8s.io": (
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
    ),
    "apiextensions.k8s.io": ("CustomResourceDefinition",),
    "apiregistration.k8s.io": ("APIService",),
    "authentication.k8s.io": ("SelfSubjectReview", "TokenReview"),
    "authorization.k8s.io": (
        "SelfSubjectAccessReview",
        "SelfSubjectRulesReview",
        "SubjectAccessReview",
    ),
    "certificates.k8s.io": ("CertificateSigningRequest", "ClusterTrustBundle"),
    "flowcontrol.apiserver.k8s.io": ("FlowSchema", "PriorityLevelConfiguration"),
    "internal.apiserver.k8s.io": ("StorageVersion",),
    "networking.k8s.io": ("IPAddress", "IngressClass", "ServiceCIDR"),
    "node.k8s.io": ("RuntimeClass",),
    "policy": ("PodSecurityPolicy",),
    "rbac.authorization.k8s.io": ("ClusterRole", "ClusterRoleBinding"),
    "resource.k8s.io": ("DeviceClass", "DeviceTaintRule", "ResourceSlice"),
    "scheduling.k8s.io": ("PriorityClass",),
    "storage.k8s.io": (
        "CSIDriver",
        "CSINode",
        "StorageClass",
        "VolumeAttachment",
        "VolumeAttributesClass",
    ),
    "storagemigration.k8s.io": ("StorageVersionMigration",),
}
BUILT_IN_CLUSTER_KINDS: ClusterKinds = frozenset(
    (group, kind) for group, kinds in _BY_GROUP.items() for kind in kinds
)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ObjectId:
    """
    What an object is called, whichever version of its kind is used.

    As text: `apps/Deployment shop/web`, `Service shop/web`, `Namespace shop`.
    """

    group: str
    """Empty for the core group."""
    kind: str
    namespace: str
    """Empty for cluster-scoped objects."""
    name: str

    @property
    def key(self) -> tuple[str, str]:
        """Group and kind."""
        return self.group, self.kind

    @property
    def is_secret(self) -> bool:
        """Whether nobody may see its values."""
        return self.key == ("", "Secret")

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read what `str` has written.

        Raises: ValueError.
        """
        what, space, which = text.partition(" ")
        group, _, kind = what.rpartition("/")
        namespace, _, name = which.rpartition("/")
        if not (space and kind and name):
            raise ValueError(f"{text!r} is no object id like 'apps/Deployment shop/web'")
        return cls(group=group, kind=kind, namespace=namespace, name=name)

    def __str__(self) -> str:
        what = f"{self.group}/{self.kind}" if self.group else self.kind
        which = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{what} {which}"

    @property
    def workload(self) -> "WorkloadId":
        """The same in Flux v1's words."""
        return WorkloadId(
            namespace=self.namespace or CLUSTER, kind=self.kind.lower(), name=self.name
        )


_WORKLOAD = re.compile(r"(<cluster>|[a-zA-Z0-9_-]+):([a-zA-Z0-9_-]+)/([a-zA-Z0-9_.:-]+)")
_PAIR = re.compile(r"([a-zA-Z0-9_-]+)/([a-zA-Z0-9_.:-]+)")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class WorkloadId:
    """`namespace:kind/name`, the kind in lower case; `<cluster>` for no namespace."""

    namespace: str
    kind: str
    """Empty for the old form `namespace/name`, which means any kind."""
    name: str

    @classmethod
    def parse(cls, text: str, default_namespace: str | None = None) -> Self:
        """
        Read an id.

        With *default_namespace* `kind/name` is completed by it; without, two parts are the old
        form `namespace/name`.
        Raises: ValueError.
        """
        if found := _WORKLOAD.fullmatch(text):
            return cls(namespace=found[1], kind=found[2].lower(), name=found[3])
        if not (found := _PAIR.fullmatch(text)):
            raise ValueError(f"{text!r} is no workload id like 'shop:deployment/web'")
        if default_namespace is not None:
            return cls(namespace=default_namespace, kind=found[1].lower(), name=found[2])
        return cls(namespace=found[1], kind="", name=found[2])

    def __str__(self) -> str:
        if not self.kind:
            return f"{self.namespace}/{self.name}"
        return f"{self.namespace}:{self.kind}/{self.name}"

    def means(self, other: "WorkloadId") -> bool:
        """Whether *other* is meant; the old form means every kind."""
        return (self.namespace, self.name) == (other.namespace, other.name) and (
            self.kind in {"", other.kind}
        )


def object_id(
    value: Mapping[str, Any],
    *,
    default_namespace: str,
    cluster_kinds: ClusterKinds = BUILT_IN_CLUSTER_KINDS,
) -> ObjectId:
    """
    Return the id of an object.

    Raises: ValueError, naming the field that is missing or wrong.
    """
    kind = _text(value, "kind", "kind")
    group = _text(value, "apiVersion", "apiVersion").rpartition("/")[0]
    metadata = value.get("metadata")
    if not isinstance(metadata, Mapping):
        raise ValueError(f"the {kind} has no metadata")  # noqa: TRY004 -- a person's mistake in data
    if metadata.get("generateName") and not metadata.get("name"):
        raise ValueError(
            f"the {kind} has a generateName, so it would be another one each time: name it"
        )
    name = _text(metadata, "name", f"metadata.name (of the {kind})")
    namespace = metadata.get("namespace") or default_namespace
    if not isinstance(namespace, str):
        raise ValueError(f"metadata.namespace of the {kind} {name} is no string; quote it")  # noqa: TRY004 -- a person's mistake in data
    if (group, kind) in cluster_kinds:
        namespace = ""
    for field, one in (("name", name), ("namespace", namespace)):
        if not _is_one_step(one):
            raise ValueError(
                f"metadata.{field} of the {kind} is {one!r}: no API server takes"
                " `.`, `..`, or what holds `/` or `%`"
            )
    return ObjectId(group=group, kind=kind, namespace=namespace, name=name)


def cluster_kinds_in(objects: Iterable[Mapping[str, Any]]) -> ClusterKinds:
    """Return the cluster-scoped kinds: built in, and defined by *objects* that are CRDs."""
    return BUILT_IN_CLUSTER_KINDS | {
        found for value in objects if (found := _defined_kind(value)) is not None
    }


def _defined_kind(value: Mapping[str, Any]) -> tuple[str, str] | None:
    spec = value.get("spec")
    if value.get("kind") != "CustomResourceDefinition" or not isinstance(spec, Mapping):
        return None
    group, names = spec.get("group"), spec.get("names")
    kind = names.get("kind") if isinstance(names, Mapping) else None
    if spec.get("scope") != "Cluster" or not isinstance(group, str) or not isinstance(kind, str):
        return None
    return group, kind


def _is_one_step(name: str) -> bool:
    """Tell whether a name is one step of a path, and leads nowhere else."""
    return name not in {".", ".."} and not {"/", "%"} & set(name)


def _text(value: Mapping[str, Any], key: str, label: str) -> str:
    found = value.get(key)
    if found is None or found == "":
        raise ValueError(f"{label} is missing")
    if not isinstance(found, str):
        raise ValueError(f"{label} is no string; quote it")  # noqa: TRY004 -- a person's mistake in data
    return found
