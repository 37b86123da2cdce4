"""What the registry holds: blobs, manifests and tags, addressed as the protocol asks for them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

_DOCKER = "application/vnd.docker.distribution.manifest"
_OCI = "application/vnd.oci.image"
_LAYER = b"a layer that nobody unpacks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A manifest or an index, byte by byte."""

    body: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """Its address."""
        return digest(self.body)


@dataclass(slots=True)
class Content:
    """Everything that was pushed."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    documents: dict[tuple[str, str], Document] = field(default_factory=dict)
    """By repository and tag, and by repository and digest."""
    _tags: dict[str, dict[str, None]] = field(default_factory=dict)

    def push(
        self,
        repository: str,
        *tags: str,
        created: datetime | str | None = None,
        labels: Mapping[str, str] | None = None,
        oci: bool = False,
    ) -> str:
        """
        Push one image under all *tags*, and return its digest.

        Without *created* its configuration says no time; without tags only its digest leads to it.
        """
        config: dict[str, object] = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": dict(labels or {}), "Env": [f"IMAGE={repository}:{tags}"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(_LAYER)]},
        }
        if created is not None:
            config["created"] = created if isinstance(created, str) else created.isoformat()
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json" if oci else f"{_DOCKER}.v2+json",
            "config": self._blob("config", json.dumps(config).encode(), oci=oci),
            "layers": [self._blob("layer", _LAYER, oci=oci)],
        }
        return self.put(repository, *tags, document=manifest)

    def push_index(
        self,
        repository: str,
        *tags: str,
        images: Sequence[tuple[str, str]],
        oci: bool = True,
    ) -> str:
        """Push an index of *images*, each a platform such as `linux/arm64` and a digest."""
        kind = f"{_OCI}.index.v1+json" if oci else f"{_DOCKER}.list.v2+json"
        manifests = []
        for platform, one in images:
            system, _, architecture = platform.partition("/")
            child = self.documents[repository, one]
            manifests.append(
                {
                    "mediaType": child.media_type,
                    "digest": one,
                    "size": len(child.body),
                    "platform": {"os": system, "architecture": architecture},
                }
            )
        document = {"schemaVersion": 2, "mediaType": kind, "manifests": manifests}
        return self.put(repository, *tags, document=document)

    def put(self, repository: str, *tags: str, document: object, media_type: str = "") -> str:
        """Push *document* as it is, whatever it says; return its digest."""
        if not isinstance(document, bytes):
            if isinstance(document, Mapping):
                media_type = media_type or str(document.get("mediaType", ""))
            document = json.dumps(document).encode()
        put = Document(body=document, media_type=media_type or f"{_DOCKER}.v2+json")
        for reference in (*tags, put.digest):
            self.documents[repository, reference] = put
        self._tags.setdefault(repository, {}).update(dict.fromkeys(tags))
        return put.digest

    def tags(self, repository: str) -> list[str] | None:
        """Return the tags in their order, or None if there is no such repository."""
        found = self._tags.get(repository)
        return None if found is None else sorted(found)

    def _blob(self, kind: str, data: bytes, *, oci: bool) -> Mapping[str, object]:
        media_types = {
            ("config", False): "application/vnd.docker.container.image.v1+json",
            ("config", True): f"{_OCI}.config.v1+json",
            ("layer", False): "application/vnd.docker.image.rootfs.diff.tar.gzip",
            ("layer", True): f"{_OCI}.layer.v1.tar+gzip",
        }
        self.blobs[digest(data)] = data
        return {"mediaType": media_types[kind, oci], "size": len(data), "digest": digest(data)}


def digest(data: bytes) -> str:
    """Return the address of *data*."""
    return f"sha256:{sha256(data).hexdigest()}"
