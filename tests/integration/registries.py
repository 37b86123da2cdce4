"""The part of registry-scanner that reads registries, for tests on two registries of ours."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.oci_registry import OciRegistry, oci_registry
from services.registry_scanner.created_cache import CreatedCache
from services.registry_scanner.oci_registry import OciRegistries
from services.registry_scanner.ports import UnreadableError
from services.registry_scanner.settings import Settings
from shared.config.images import Registry
from shared.config.secrets import SecretRef
from shared.runtime.errors import FluxError, TemporaryError

USERNAME, PASSWORD = "robot", "canary-5f1d0c"
TAGS = [f"1.{10 + n // 100}.{100 + n % 100}" for n in range(2500)]
"""Versions, also in the order of their letters."""


@dataclass(kw_only=True)
class Scanner:
    """Reads registries; what it remembers is in a folder, for the next one."""

    directory: Path
    own: OciRegistry
    """Has the image `acme/web` with *TAGS*, in pages of at most 300."""
    elsewhere: OciRegistry
    timeout: float = 2.0
    concurrency: int = 8
    login: bool = False

    @property
    def image(self) -> str:
        return f"{self.own.host}/acme/web"

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[OciRegistries]:
        registries = {host: self.registry(host) for host in (self.own.host, self.elsewhere.host)}
        settings = Settings(
            syncs=frozenset(),
            registries=registries,
            interval=300,
            timeout=self.timeout,
            concurrency=self.concurrency,
            state_dir=self.directory,
        )
        with CreatedCache(self.directory / "created.sqlite") as cache:
            async with OciRegistries(settings, cache) as registries_:
                yield registries_

    def registry(self, host: str, *, insecure: bool = True) -> Registry:
        if not self.login:
            return Registry(host=host, insecure=insecure)
        file = self.directory / "password"
        file.write_text(PASSWORD)
        password = SecretRef(file=file)
        return Registry(host=host, insecure=insecure, username=USERNAME, password=password)

    async def tags(self, image: str) -> list[str]:
        async with self.reading() as registries:
            return list(await registries.tags(image))

    async def failure(self, image: str) -> FluxError:
        with pytest.raises((TemporaryError, UnreadableError)) as caught:
            await self.tags(image)
        return caught.value


@asynccontextmanager
async def scanning(directory: Path) -> AsyncIterator[Scanner]:
    async with oci_registry() as own, oci_registry() as elsewhere:
        own.content.push("acme/web", *TAGS)
        own.page = 300
        yield Scanner(directory=directory, own=own, elsewhere=elsewhere)
