"""An object that is declared no more, and where it is in the cluster."""

from dataclasses import dataclass

from services.cluster_applier.discovery import Resource
from services.cluster_applier.domain.inventory import Applied
from shared.manifests import ObjectId


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """What is to be deleted, if it is still as it was."""

    id: ObjectId
    applied: Applied
    resource: Resource | None
    """None where the cluster does not serve its kind now."""

    @property
    def collection(self) -> str:
        """The path of all objects of its kind in its namespace; empty where there is none."""
        return self.resource.collection(self.id.namespace) if self.resource else ""

    @property
    def path(self) -> str:
        """Its own path; empty where there is none."""
        return self.resource.path(self.id.namespace, self.id.name) if self.resource else ""
