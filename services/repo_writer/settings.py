"""The slice of `flux.yaml` that repo-writer takes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from services.repo_writer.domain.gathering import more
from services.repo_writer.domain.style import Style
from shared.bus.port import Window
from shared.config.git import Git
from shared.config.model import Config
from shared.config.renderer import Renderer
from shared.contract import PlanQuestion, SyncCompleted, UpdateRequested
from shared.git.identity import repository_id

TOGETHER = 5_000
"""Updates that become one commit, however many images they are of: some 20 MiB while in hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which files of a repository belong to a sync."""

    sync: str
    paths: tuple[str, ...]
    default_namespace: str
    manifest_generation: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A branch, and the syncs that share it."""

    git: Git
    """Of the first sync that names it; credentials are the same for all."""
    places: tuple[Place, ...]
    tags: Mapping[str, str] = field(default_factory=dict)
    """By sync: the tag that says how far it is."""

    @property
    def style(self) -> Style:
        """How commits are made here."""
        return Style(
            commit=self.git.commit,
            templates=self.git.messages.model_dump(),
            ci_skip=self.git.ci_skip_message or "[ci skip]" * self.git.ci_skip,
            set_author=self.git.set_author,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What repo-writer needs."""

    repositories: Mapping[str, Repository]
    window: Window
    state_dir: Path
    renderer: Renderer

    @classmethod
    def of(cls, config: Config) -> Self:
        """Take our slice."""
        repositories: dict[str, Repository] = {}
        for sync in config.syncs:
            name = repository_id(sync.git.url, sync.git.branch)
            place = Place(
                sync=sync.name,
                paths=sync.git.paths,
                default_namespace=sync.default_namespace,
                manifest_generation=sync.git.manifest_generation,
            )
            known = repositories.get(name)
            repositories[name] = Repository(
                git=known.git if known else sync.git,
                places=(*(known.places if known else ()), place),
                tags={**(known.tags if known else {}), sync.name: sync.git.sync_tag},
            )
        automation = config.automation
        return cls(
            repositories=repositories,
            window=Window(
                quiet=automation.quiet,
                # Who wants half a minute of quiet has waited for it in vain after two seconds.
                max_wait=max(automation.max_wait, automation.quiet),
                at_once=(UpdateRequested, PlanQuestion),
                aside=(SyncCompleted,),
                longer=lambda found: math.inf if more(found) else 0.0,
                most=TOGETHER,
            ),
            state_dir=config.state_dir / "repo-writer",
            renderer=config.renderer or Renderer(),
        )
