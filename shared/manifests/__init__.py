"""
Kubernetes objects in YAML: read as kubectl reads them, edited without touching another byte.

Pure: text in, values out; text and edits in, text out. It knows image references, and nothing
of git, clusters or messages. Read `load` for what a file declares, `workloads` and `policies`
for what that means to Flux, `edit` for how it is changed.
"""

from shared.manifests.edit import Annotate, EditError, SetImage, annotate, edit, set_image
from shared.manifests.ids import ObjectId, WorkloadId, cluster_kinds_in
from shared.manifests.load import Declared, Loaded, Problem, load
from shared.manifests.policies import Policies
from shared.manifests.workloads import Container, containers

__all__ = [
    "Annotate",
    "Container",
    "Declared",
    "EditError",
    "Loaded",
    "ObjectId",
    "Policies",
    "Problem",
    "SetImage",
    "WorkloadId",
    "annotate",
    "cluster_kinds_in",
    "containers",
    "edit",
    "load",
    "set_image",
]
