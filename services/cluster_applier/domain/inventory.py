"""What of a sync was applied, and how it is kept: compressed, in a ConfigMap of the cluster."""

import base64
import zlib
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

KEY = "inventory"
"""The ConfigMap's key."""


class Applied(BaseModel):
    """What we know of an object that we applied."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    digest: str = ""
    """Of the body that was applied; empty while that is not certain."""
    fields: str = ""
    """Fingerprint of the fields that are ours; another one means drift."""
    uid: str = ""
    created: bool = False
    """Whether it was not there before us."""

    replicas: bool = False
    """Whether we set how many replicas it has."""

    @property
    def unsure(self) -> "Applied":
        """The same while it is not certain what became of it."""
        return self.model_copy(update={"digest": ""})


class Inventory(BaseModel):
    """What one sync has in the cluster."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sync: str
    repository: str = ""
    revision: str = ""
    """The one applied last; empty for none."""
    height: int = 0
    generation: int = 0
    objects: Mapping[str, Applied] = {}
    """By object id."""

    def encoded(self) -> Mapping[str, str]:
        """Return the data of its ConfigMap."""
        packed = zlib.compress(self.model_dump_json(exclude_defaults=True).encode(), 6)
        return {"revision": self.revision, KEY: base64.b64encode(packed).decode()}


def decoded(data: Mapping[str, str]) -> Inventory:
    """
    Return the inventory that a ConfigMap holds.

    Raises:
        ValueError: it can't be read.
    """
    try:
        return Inventory.model_validate_json(zlib.decompress(base64.b64decode(data[KEY])))
    except (KeyError, zlib.error) as error:
        raise ValueError(f"the inventory can't be read: {error}") from error
