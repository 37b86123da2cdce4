"""The slice of `flux.yaml` that git-watcher takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Self

from shared.bundle.sealing import Sealer
from shared.config.git import Git, GitAuth
from shared.config.model import Config, Sync
from shared.config.renderer import Renderer
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
    manifest_generation: bool = False
    public_key: str = ""
    """Secrets are sealed to it; empty for none."""
    auth: GitAuth = field(default_factory=GitAuth)

    @property
    def digest(self) -> str:
        """Changes with whatever changes what is rendered."""
        parts = (
            *(self.target, self.paths, self.default_namespace),
            *(self.url, self.marked_url, self.generation, self.public_key),
            self.manifest_generation,
        )
        return sha256(repr(parts).encode()).hexdigest()[:16]

    @property
    def sealer(self) -> Sealer | None:
        """Seals Secrets; their fingerprints mean nothing to who can't read the repository."""
        if not self.public_key:
            return None
        credential = self.auth.password or self.auth.token or self.auth.private_key
        key = sha256((credential.read() if credential else "").encode()).digest()
        return Sealer(public_key=self.public_key, fingerprint_key=key)


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
    renderer: Renderer
    unsealed: frozenset[str]
    """Targets that have no key to seal with: whoever reads the broker reads their Secrets."""

    @classmethod
    def of(cls, config: Config) -> Self:
        """Take our slice."""
        repositories: dict[str, RepositorySettings] = {}
        keys = {one.name: one.seal.public_key.read() for one in config.targets if one.seal}
        for sync in config.syncs:
            name = repository_id(sync.git.url, sync.git.branch)
            known = repositories.get(name)
            repositories[name] = RepositorySettings(
                git=known.git if known else sync.git,
                syncs=(
                    *(known.syncs if known else ()),
                    _sync(sync, config.generation, keys.get(sync.target, "")),
                ),
                poll_interval=min(
                    sync.git.poll_interval, known.poll_interval if known else float("inf")
                ),
            )
        return cls(
            repositories=repositories,
            state_dir=config.state_dir / "git-watcher",
            renderer=config.renderer or Renderer(),
            unsealed=frozenset(sync.target for sync in config.syncs) - keys.keys(),
        )


def _sync(sync: Sync, generation: int, public_key: str) -> SyncSettings:
    return SyncSettings(
        name=sync.name,
        target=sync.target,
        paths=sync.git.paths,
        default_namespace=sync.default_namespace,
        interval=sync.sync_interval,
        url=without_credentials(sync.git.url),
        marked_url=marked(sync.git.url),
        generation=generation,
        manifest_generation=sync.git.manifest_generation,
        public_key=public_key,
        auth=sync.git.auth,
    )
