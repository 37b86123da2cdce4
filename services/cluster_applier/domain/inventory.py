"""What of a sync was applied, and how it is kept: compressed, in a ConfigMap of the cluster."""

import base64
import zlib
from collections.abc import Mapping
from hashlib import sha512
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.manifests import ObjectId

KEY = "inventory"
"""The ConfigMap's key."""
FORMAT = 1
LARGEST = 64_000_000
"""Bytes of an inventory before compression."""
ANY = "*"
"""The fingerprint of what may look as it likes, as long as it is there."""


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

    found: bool = False
    """Whether its mark alone says that it is ours: then it goes only when a person says so."""

    encrypted: bool = False
    """Whether its file was: then its values are secret, though git may declare it openly now."""

    @property
    def unsure(self) -> "Applied":
        """The same while it is not certain what became of it."""
        return self.model_copy(update={"digest": ""})


class Removal(BaseModel):
    """How the objects of a sync go once a newer `flux.yaml` does not name it any more."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    target: str
    generation: int
    """Of the `flux.yaml` that wants it."""
    service_account: str = ""
    """`namespace/name` of whom to act as; empty for ourselves."""
    namespaces: tuple[str, ...] = ()
    """Those that may be deleted from; empty for all."""
    mark_set: str = ""
    """What the marks of the objects are made with."""


class Inventory(BaseModel):
    """What one sync has in the cluster."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sync: str
    repository: str = ""
    revision: str = ""
    """The one applied last; empty for none."""
    height: int = 0
    generation: int = 0
    claim: str = ""
    """The process that works on the sync; who finds another one here than itself, writes its own
    before anything else."""
    before: int = 0
    """How many objects there were before the pushes since which something waits to be deleted."""
    ready: str = ""
    """The revision of which all was applied and, where the sync waits for that, ready."""
    suspended: str = ""
    """Who wants the sync to rest, and why; empty for nobody."""
    removal: Removal | None = None
    """None: when the sync is not named any more, its objects stay."""
    objects: Mapping[str, Applied] = {}
    """By object id."""
    lost: str = Field(default="", exclude=True)
    """Why it is not known any more what was applied before, if so."""

    @property
    def base(self) -> int:
        """How many objects there were before a push: of so many it takes some away."""
        return self.before or sum(1 for one in self.objects.values() if one.uid and not one.found)

    @property
    def certain(self) -> "Inventory":
        """The same, as large as it will be once it is known what became of every object."""
        objects = {name: one if one.uid else _like(name) for name, one in self.objects.items()}
        return self.model_copy(update={"objects": objects})

    def encoded(self) -> Mapping[str, str]:
        """Return the data of its ConfigMap."""
        packed = zlib.compress(self.model_dump_json(exclude_defaults=True).encode(), 6)
        return {
            "format": str(FORMAT),
            "revision": self.revision,
            "claim": self.claim,
            KEY: base64.b64encode(packed).decode(),
        }


def _like(name: str) -> Applied:
    """Return what might be known of an object; it compresses as badly as what will be."""
    value = sha512(name.encode()).hexdigest()
    return Applied(
        digest=value[:32], fields=value[32:48], uid=str(UUID(value[48:80])), created=True
    )


class NewerFormatError(ValueError):
    """An inventory that a newer Flux wrote: it must neither be used nor overwritten."""


def decoded(data: Mapping[str, str]) -> Inventory:
    """
    Return the inventory that a ConfigMap holds.

    Raises:
        NewerFormatError: a newer Flux wrote it.
        ValueError: it can't be read.
    """
    try:
        if int(data.get("format") or FORMAT) > FORMAT:
            raise NewerFormatError(f"it has the format {data['format']}, and we know {FORMAT}")
        found = Inventory.model_validate_json(_unpacked(base64.b64decode(data[KEY])))
    except (KeyError, zlib.error) as error:
        raise ValueError(f"it can't be read: {error}") from error
    for name in found.objects:
        ObjectId.parse(name)
    return found


def _unpacked(packed: bytes) -> bytes:
    """Return what was compressed; a few bytes that somebody made may claim to be gigabytes."""
    unpacking = zlib.decompressobj()
    found = unpacking.decompress(packed, LARGEST)
    if not unpacking.eof:
        raise ValueError("it can't be read: torn, or larger than any inventory")
    return found
