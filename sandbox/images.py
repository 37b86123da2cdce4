"""Pushes small images to a registry, as a person's build does: by the distribution protocol."""

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from types import TracebackType
from typing import Self

import aiohttp

from sandbox.errors import SandboxError

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Images:
    """A client that pushes; an asynchronous context manager."""

    def __init__(self, host: str, credentials: tuple[str, str] | None = None) -> None:
        self._base = f"http://{host}/v2"
        headers = {}
        if credentials:
            headers["Authorization"] = aiohttp.encode_basic_auth(*credentials)
        self._headers = headers
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(headers=self._headers)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def push(
        self,
        repository: str,
        *tags: str,
        created: datetime | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> str:
        """Push an image of its own for each of *tags*; return the digest of the last one."""
        digest = ""
        for tag in tags:
            layer, diff = _layer(f"{repository}:{tag}")
            config = _config(tag, diff, created or datetime.now(UTC), labels or {})
            for blob in (layer, config):
                await self._upload(repository, blob)
            digest = await self._manifest(repository, tag, config, layer)
        return digest

    async def tags(self, repository: str) -> list[str]:
        """Return the tags that the registry has."""
        async with self._ours.get(f"{self._base}/{repository}/tags/list") as answer:
            found: list[str] = (await answer.json()).get("tags") or []
            return found

    async def _upload(self, repository: str, blob: bytes) -> None:
        uploads = f"{self._base}/{repository}/blobs/uploads/"
        async with self._ours.post(uploads) as answer:
            await _check(answer, 202)
            place = answer.headers["Location"]
        joint = "&" if "?" in place else "?"
        async with self._ours.put(f"{place}{joint}digest={_digest(blob)}", data=blob) as answer:
            await _check(answer, 201)

    async def _manifest(self, repository: str, tag: str, config: bytes, layer: bytes) -> str:
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, config),
            "layers": [_descriptor(_LAYER, layer)],
        }
        url, headers = f"{self._base}/{repository}/manifests/{tag}", {"Content-Type": _MANIFEST}
        async with self._ours.put(url, data=json.dumps(manifest), headers=headers) as answer:
            await _check(answer, 201)
            return answer.headers["Docker-Content-Digest"]

    @property
    def _ours(self) -> aiohttp.ClientSession:
        assert self._session is not None, "use it as an asynchronous context manager"
        return self._session


async def _check(answer: aiohttp.ClientResponse, wanted: int) -> None:
    if answer.status != wanted:
        text = (await answer.text())[:300]
        raise SandboxError(f"{answer.method} {answer.url} answered {answer.status}: {text}")


def _layer(content: str) -> tuple[bytes, str]:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        data = content.encode()
        info = tarfile.TarInfo("image")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), mtime=0), _digest(raw.getvalue())


def _config(tag: str, diff: str, created: datetime, labels: Mapping[str, str]) -> bytes:
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": created.isoformat(),
        "config": {"Labels": dict(labels), "Env": [f"TAG={tag}"]},
        "rootfs": {"type": "layers", "diff_ids": [diff]},
    }
    return json.dumps(config).encode()


def _descriptor(kind: str, data: bytes) -> Mapping[str, object]:
    return {"mediaType": kind, "size": len(data), "digest": _digest(data)}


def _digest(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"
