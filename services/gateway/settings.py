"""The slice of `flux.yaml` that the gateway takes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self

from shared.config.model import Config
from shared.config.secrets import SecretRef
from shared.git.identity import repository_id, without_credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A branch, for people."""

    url: str
    """Without credentials."""
    branch: str
    """Empty for the remote's HEAD."""
    paths: tuple[str, ...]
    """Of all syncs of it."""
    syncs: tuple[str, ...]
    readonly: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the gateway needs."""

    host: str
    port: int
    token: SecretRef | None
    target: str
    repositories: Mapping[str, Repository]
    """Those of the target's syncs, by id; the first one stands for all where one is shown."""
    state_dir: Path

    @property
    def syncs(self) -> Mapping[str, tuple[str, ...]]:
        """The names of the target's syncs, by repository."""
        return {name: one.syncs for name, one in self.repositories.items()}

    @property
    def about(self) -> str:
        """A digest of what the view is about: with other syncs the log must be read anew."""
        meant = json.dumps([self.target, {name: sorted(some) for name, some in self.syncs.items()}])
        return sha256(meant.encode()).hexdigest()

    @property
    def readonly(self) -> frozenset[str]:
        """The repositories that are never written."""
        return frozenset(name for name, one in self.repositories.items() if one.readonly)

    @classmethod
    def of(cls, config: Config) -> Self:
        """Take our slice."""
        host, _, port = config.gateway.listen.rpartition(":")
        repositories: dict[str, Repository] = {}
        for sync in config.syncs:
            if sync.target != config.gateway.target:
                continue
            name = repository_id(sync.git.url, sync.git.branch)
            known = repositories.get(name)
            repositories[name] = Repository(
                url=without_credentials(sync.git.url),
                branch=sync.git.branch,
                paths=(*(known.paths if known else ()), *sync.git.paths),
                syncs=(*(known.syncs if known else ()), sync.name),
                readonly=sync.git.readonly or bool(known and known.readonly),
            )
        return cls(
            host=host.strip("[]"),
            port=int(port),
            token=config.gateway.token,
            target=config.gateway.target,
            repositories=repositories,
            state_dir=config.state_dir / "gateway",
        )
