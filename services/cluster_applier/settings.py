"""The slice of `flux.yaml` that cluster-applier takes."""

from dataclasses import dataclass
from typing import Self

from shared.config.model import Config
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
        is_namespace = named.kind == "Namespace" and not named.group
        namespace = named.name if is_namespace else named.namespace
        return not self.namespaces or not namespace or namespace in self.namespaces


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What cluster-applier needs."""

    syncs: tuple[SyncSettings, ...]
    targets: tuple[Target, ...]
    """Those that a sync names."""

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
        )
