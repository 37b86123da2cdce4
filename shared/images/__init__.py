"""
Image references, tags, versions, and the order that a policy puts them in.

Pure: values in, values out. It knows nothing of registries, manifests or messages. Read
`reference` for how an image is written, `policy` for which tags are wanted, `choose` for
which of them is taken and why the others are not.
"""

from shared.images.choose import Candidate, Choice, Reason, choose, ranked
from shared.images.constraint import Constraint, InvalidConstraintError
from shared.images.policy import TagPolicy
from shared.images.reference import ImageRef, InvalidReferenceError
from shared.images.semver import Version

__all__ = [
    "Candidate",
    "Choice",
    "Constraint",
    "ImageRef",
    "InvalidConstraintError",
    "InvalidReferenceError",
    "Reason",
    "TagPolicy",
    "Version",
    "choose",
    "ranked",
]
