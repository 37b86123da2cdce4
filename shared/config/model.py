"""
The whole of `flux.yaml`, as frozen models with their defaults.

Names follow Flux v1's flags where it had one (`--git-path` is `git.paths`). Every field's
docstring says what it does and what it costs to change. Read `broker`, `git`, `target`, `images`
and `gateway` for the parts.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from shared.config.broker import Broker
from shared.config.consistency import PORTS, contradictions
from shared.config.durations import Period
from shared.config.gateway import Gateway
from shared.config.git import Git
from shared.config.images import Automation, Registry
from shared.config.renderer import Renderer
from shared.config.strict import Model
from shared.config.target import Target
from shared.config.values import Name, Port, ServiceAccount


class Sync(Model):
    """These paths of this repository belong on this target."""

    name: Name
    git: Git
    target: Name = "default"
    prune: bool = True
    """Delete what was applied by this sync and is in git no more. Flux v1:
    --sync-garbage-collection."""
    prune_limit: float = Field(default=0.5, ge=0, le=1)
    """The share of a sync's objects that one push may take away; more, and everything in any case,
    waits for `fluxctl sync --allow-prune`."""
    prune_dry_run: bool = False
    """Only tell what would be deleted, also where *prune* is off. Flux v1:
    --sync-garbage-collection-dry."""
    prune_on_removal: bool = False
    """Delete what was applied once a newer `flux.yaml` does not name the sync any more; else it
    stays. Needs *generation*. Nothing is deleted where *prune* is off or *prune_dry_run* on."""
    sync_interval: Period = 300.0
    """How often all is compared, even if nothing seems to have changed."""
    default_namespace: Name = "default"
    """For objects that name none."""
    depends_on: tuple[Name, ...] = ()
    """Other syncs; a revision is applied only once they are applied and ready, those of the same
    repository at that revision or a later one."""
    wait: bool = False
    """Tell a revision as applied only once all of it is ready."""
    wait_timeout: Period = 300.0
    """Seconds after which it is told as not healthy instead; it is waited for all the same."""
    namespaces: tuple[Name, ...] = ()
    """Only objects of these namespaces are applied, and cluster-scoped ones; of namespaces
    themselves these. None: of all. Flux v1: --k8s-allow-namespace."""
    service_account: ServiceAccount = ""
    """`namespace/name`: applies and deletes as this account, so that the sync can do no more than
    it may. Flux's own account must be allowed to impersonate it. Empty: as Flux itself."""


class Health(Model):
    """Where each service serves /livez, /readyz and /metrics."""

    host: str = "127.0.0.1"
    git_watcher: Port = PORTS["git_watcher"]
    registry_scanner: Port = PORTS["registry_scanner"]
    repo_writer: Port = PORTS["repo_writer"]
    cluster_applier: Port = PORTS["cluster_applier"]
    gateway: Port = PORTS["gateway"]
    renderer: Port = PORTS["renderer"]


class Log(Model):
    """How much is logged, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"
    """auto: console on a terminal, JSON elsewhere."""


class Config(Model):
    """`flux.yaml`."""

    generation: int = Field(default=0, ge=0)
    """Raised by its owner: of two replicas with different files the newer wins. 0: the time at
    which the file was changed last."""
    broker: Broker = Broker()
    syncs: tuple[Sync, ...] = Field(min_length=1)
    targets: tuple[Target, ...] = (Target(),)
    registries: tuple[Registry, ...] = ()
    automation: Automation = Automation()
    gateway: Gateway = Gateway()
    renderer: Renderer | None = None
    """Needed by syncs with `git.manifest_generation`; `{}` takes all defaults."""
    health: Health = Health()
    log: Log = Log()
    state_dir: Path = Path("/var/lib/flux")
    """Caches that cost time when lost, and nothing else. Each service has a folder of its own."""
    shutdown_grace: Period = 20.0
    """How long a service may finish what it holds after SIGTERM."""
    _dated: bool = PrivateAttr(default=False)

    @property
    def is_numbered(self) -> bool:
        """Whether its owner numbers its generations: a copy may have a later time of change."""
        return self.generation > 0 and not self._dated

    def dated(self, changed: int) -> Self:
        """Return the same with the time of its last change, if it has no generation."""
        if self.generation:
            return self
        found = self.model_copy(update={"generation": changed})
        found._dated = True  # noqa: SLF001 - it is our own copy
        return found

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        found = [
            f"{'.'.join(map(str, where))}: {what}"
            for where, what in contradictions(self.model_dump())
        ]
        if found:
            raise ValueError("; ".join(found))
        return self
