"""The slice of `flux.yaml` that cluster-applier takes."""

from dataclasses import dataclass
from typing import Self

from services.cluster_applier.domain.inventory import Removal
from services.cluster_applier.domain.removal import is_allowed
from shared.config.model import Config, Sync
from shared.config.target import Target
from shared.git.identity import repository_id
from shared.manifests import ObjectId


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSettings:
    """A sync, as far as applying goes."""

    name: str
    target: str
    repository: str
    prune: bool
    prune_limit: float
    prune_dry_run: bool
    removal: Removal | None = None
    """What becomes of its objects when it is not named any more; None: they stay."""
    interval: float
    namespaces: frozenset[str] = frozenset()
    """Those that may be applied to; empty for all."""
    service_account: str = ""
    """`namespace/name` of whom to act as; empty for ourselves."""
    depends_on: tuple[str, ...] = ()
    """Syncs that must be applied and ready before."""
    wait: bool = False
    """Whether a revision is done only once all of it is ready, or the deadline has passed."""
    deadline: float = 300.0

    def allows(self, named: ObjectId) -> bool:
        """Tell whether an object may be applied; of Flux v1: cluster-scoped ones may."""
        return is_allowed(named, self.namespaces)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """The `flux.yaml` that was read."""

    generation: int = 0
    """0 where its owner does not number it."""
    syncs: frozenset[str] = frozenset()
    """All that it names, of every target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What cluster-applier needs."""

    syncs: tuple[SyncSettings, ...]
    targets: tuple[Target, ...]
    """Those that a sync names."""
    file: File

    @classmethod
    def of(cls, config: Config) -> Self:
        """Take our slice."""
        used = {sync.target for sync in config.syncs}
        return cls(
            syncs=tuple(
                SyncSettings(
                    name=sync.name,
                    target=sync.target,
                    repository=repository_id(sync.git.url, sync.git.branch),
                    prune=sync.prune,
                    prune_limit=sync.prune_limit,
                    prune_dry_run=sync.prune_dry_run,
                    removal=_removal(sync, config),
                    interval=sync.sync_interval,
                    namespaces=frozenset(sync.namespaces),
                    service_account=sync.service_account,
                    depends_on=sync.depends_on,
                    wait=sync.wait,
                    deadline=sync.wait_timeout,
                )
                for sync in config.syncs
            ),
            targets=tuple(target for target in config.targets if target.name in used),
            file=File(
                generation=config.generation if config.is_numbered else 0,
                syncs=frozenset(sync.name for sync in config.syncs),
            ),
        )


def _removal(sync: Sync, config: Config) -> Removal | None:
    if not sync.prune_on_removal or not sync.prune or sync.prune_dry_run:
        return None
    return Removal(
        target=sync.target,
        generation=config.generation,
        service_account=sync.service_account,
        namespaces=tuple(sorted(sync.namespaces)),
    )
