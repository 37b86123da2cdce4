"""Carries out orders: in fresh files, command after command, and forgets everything."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from services.renderer.domain import Entry, RefusedChangeError, TooMuchError
from services.renderer.programs import CommandError, output
from services.renderer.settings import Settings
from services.renderer.workspace import Workspace, changes, entries, workspace
from shared.rendering.protocol import Done, Failed, Order, Run


class Orders:
    """A few at a time; the others wait."""

    def __init__(self, settings: Settings, cage: Sequence[str]) -> None:
        self._settings = settings
        self._cage = cage
        self._slots = asyncio.Semaphore(settings.concurrency)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait until few enough are under way."""
        async with self._slots:
            yield

    async def carry_out(self, order: Order, tar: BinaryIO) -> Done:
        """
        Return what the commands print, or what they change.

        Raises:
            CommandError: one fails, or changes what can't be taken.
        """
        with ExitStack() as opened:
            space = await asyncio.to_thread(opened.enter_context, workspace(tar))
            folder = space.folder(order.folder)
            if folder is None:
                reason = f"there is no folder {order.folder!r} in the repository"
                raise CommandError(Failed(reason=reason))
            before = await asyncio.to_thread(entries, space.tree) if order.changes else {}
            outputs = await self._outputs(order, folder, space)
            if not order.changes:
                return Done(outputs=tuple(outputs))
            return await asyncio.to_thread(_changed, space, before)

    async def _outputs(self, order: Order, folder: Path, space: Workspace) -> list[bytes]:
        found = []
        for number, run in enumerate(order.runs, start=1):
            environment = self._environment(run, space)
            found.append(await output(number, run, folder, environment, self._cage))
        return found

    def _environment(self, run: Run, space: Workspace) -> Mapping[str, str]:
        path, home = os.environ.get("PATH", os.defpath), str(space.home)
        own = {"PATH": path, "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8"}
        passed = self._settings.environment if run.environment is None else run.environment
        return {**own, **passed}


def _changed(space: Workspace, before: Mapping[str, Entry]) -> Done:
    try:
        return Done(changed=dict(changes(space.tree, before)))
    except (RefusedChangeError, TooMuchError) as error:
        raise CommandError(Failed(reason=f"an updater {error}")) from error
