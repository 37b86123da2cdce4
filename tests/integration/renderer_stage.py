"""The renderer as a process of its own, and trees for it."""

import asyncio
import io
import json
import os
import sys
import tarfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from sandbox.ports import free_port
from shared.config.renderer import Renderer as Settings
from shared.config.secrets import SecretRef
from shared.rendering.client import HttpRenderer

SEEN = "SEEN_BY_GENERATORS"


@dataclass(kw_only=True)
class Process:
    """A renderer that can be killed, and started again."""

    directory: Path
    settings: Settings
    health: int
    process: asyncio.subprocess.Process | None = None

    @property
    def client(self) -> HttpRenderer:
        return HttpRenderer(self.settings)

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.renderer"),
            *("--config", str(self.directory / "flux.yaml")),
            env={**os.environ, SEEN: "yes", "HIDDEN": "no", "TMPDIR": str(self.temporary)},
            cwd=Path(__file__).parents[2],
        )
        async with asyncio.timeout(30), aiohttp.ClientSession() as session:
            while not await self._is_ready(session):
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    @property
    def temporary(self) -> Path:
        folder = self.directory / "tmp"
        folder.mkdir(exist_ok=True)
        return folder

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"http://127.0.0.1:{self.health}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


@asynccontextmanager
async def renderer(directory: Path, *, network: bool = False) -> AsyncIterator[Process]:
    """Run one for the length of the block."""
    port, health = free_port(), free_port()
    token = directory / "token"
    token.write_text("a-token")
    settings = Settings(
        url=f"http://127.0.0.1:{port}",
        listen=f"127.0.0.1:{port}",
        token=SecretRef(file=token),
        environment=(SEEN,),
        network=network,
    )
    whole = {
        "syncs": [{"name": "apps", "git": {"url": "x"}}],
        "health": {"renderer": health},
        "renderer": settings.model_dump(mode="json", exclude_none=True),
    }
    (directory / "flux.yaml").write_text(json.dumps(whole))
    found = Process(directory=directory, settings=settings, health=health)
    await found.start()
    try:
        yield found
    finally:
        await found.kill()


def packed(files: Mapping[str, str]) -> bytes:
    """Return *files* as a tar."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return data.getvalue()
