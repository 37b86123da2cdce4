"""The slice of `flux.yaml` that git-watcher takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self

from shared.config.model import Config, Git, Sync
from shared.git.identity import marked, repository_id, without_credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSettings:
    """What is rendered for one sync."""

    name: str
    target: str
    paths: tuple[str, ...]
    default_namespace: str
    interval: float
    """Seconds after which what is declared is said again."""
    url: str
    """Without credentials."""
    marked_url: str
    """As Flux v1's marks have it."""
    generation: int

    @property
    def digest(self) -> str:
        """Changes with whatever changes what is rendered."""
        parts = (
            *(self.target, self.paths, self.default_namespace),
            *(self.url, self.marked_url, self.generation),
        )
        return sha256(repr(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositorySettings:
    """A branch, and the syncs that share it."""

    git: Git
    syncs: tuple[SyncSettings, ...]
    poll_interval: float
    """The shortest of its syncs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What git-watcher needs."""

    repositories: Mapping[str, RepositorySettings]
    state_dir: Path

    @classmethod
    def of(cls, config: Config) -> Self:
        """Take our slice."""
        repositories: dict[str, RepositorySettings] = {}
        for sync in config.syncs:
            name = repository_id(sync.git.url, sync.git.branch)
            known = repositories.get(name)
            repositories[name] = RepositorySettings(
                git=known.git if known else sync.git,
                syncs=(*(known.syncs if known else ()), _sync(sync, config.generation)),
                poll_interval=min(
                    sync.git.poll_interval, known.poll_interval if known else float("inf")
                ),
            )
        return cls(repositories=repositories, state_dir=config.state_dir / "git-watcher")


def _sync(sync: Sync, generation: int) -> SyncSettings:
    return SyncSettings(
        name=sync.name,
        target=sync.target,
        paths=sync.git.paths,
        default_namespace=sync.default_namespace,
        interval=sync.sync_interval,
        url=without_credentials(sync.git.url),
        marked_url=marked(sync.git.url),
        generation=generation,
    )
