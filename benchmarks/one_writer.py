"""
One of many writers: makes ten updates, one after the other, as repo-writer does.

`python -m benchmarks.one_writer SETTINGS` says `ready`, waits for a line, and ends when all have
landed.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.repo_writer import handlers
from services.repo_writer.git_repo import GitRepo
from services.repo_writer.ports import Registry
from services.repo_writer.refusals import Refusals
from services.repo_writer.settings import Place, Repository
from shared.config.model import Git
from shared.config.renderer import Renderer
from shared.contract import Draft, ImagesFound, UpdatePushed
from shared.git import transport
from shared.images import Candidate
from shared.rendering.client import HttpRenderer


class NoRegistry(Registry):
    async def tags(self, _: Mapping[str, bool]) -> Mapping[str, tuple[Candidate, ...]]:
        return {}


async def main(settings: Mapping[str, Any]) -> int:
    git = Git.model_validate(settings["git"])
    directory = Path(settings["directory"])
    transport.configure(directory / "home", [git])
    place = Place(sync="apps", paths=(), default_namespace="default")
    repo = await GitRepo.open(
        directory / "mirror", Repository(git=git, places=(place,)), HttpRenderer(Renderer())
    )
    await repo.state(await repo.fetch())
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    landed = 0
    for update in settings["updates"]:
        message = Draft(message=ImagesFound.model_validate(update)).sealed("/benchmark")
        outcome = await handlers.on_group(
            "r", [message], repos={"r": repo}, registry=NoRegistry(), refusals=Refusals()
        )
        landed += sum(isinstance(one.message, UpdatePushed) for one in outcome.events)
    return 0 if landed == len(settings["updates"]) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(json.loads(Path(sys.argv[1]).read_text()))))
