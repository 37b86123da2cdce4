"""The slice of `flux.yaml` that registry-scanner takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from shared.config.images import Registry
from shared.config.model import Config
from shared.images import ImageRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What registry-scanner needs."""

    syncs: frozenset[str]
    registries: Mapping[str, Registry]
    """What is special about a registry, by its canonical domain."""
    interval: float
    timeout: float
    concurrency: int
    state_dir: Path

    @classmethod
    def of(cls, config: Config) -> Self:
        """Take our slice."""
        return cls(
            syncs=frozenset(sync.name for sync in config.syncs),
            registries={_domain(registry.host): registry for registry in config.registries},
            interval=config.automation.interval,
            timeout=config.automation.registry_timeout,
            concurrency=config.automation.registry_concurrency,
            state_dir=config.state_dir / "registry-scanner",
        )


def _domain(host: str) -> str:
    """Return the one name of a registry; Docker Hub has several."""
    return ImageRef(domain=host, path="any").canonical_domain
