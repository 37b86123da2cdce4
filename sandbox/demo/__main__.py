"""Plays the demo from beginning to end; exit code 0 only if everything was seen."""

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from sandbox.cluster import Kind
from sandbox.demo import scenes, workloads
from sandbox.demo.story import Story
from sandbox.errors import SandboxError
from sandbox.everything import everything
from sandbox.installation import Installation
from sandbox.world import world

SCENES: Sequence[tuple[str, scenes.Scene]] = (
    ("push three workloads with different policies", scenes.push_workloads),
    ("push new images", scenes.push_images),
    ("delete an object, change a field by hand", scenes.disturb),
    ("remove a manifest from git", scenes.remove),
    ("kill -9 the repo-writer, push an image, start it", scenes.crash),
)


async def play(directory: Path, story: Story, *, cluster: Kind, keep: bool) -> None:
    """Play all scenes in *directory*; stop at the first that was not seen to its end."""
    async with AsyncExitStack() as stack:
        with story.step("start everything") as step:
            place = await stack.enter_async_context(
                everything(directory / "sandbox", cluster=cluster, say=story.tell)
            )
            shop = await stack.enter_async_context(
                world(place, directory / "shop", "shop", say=story.tell)
            )
            for name, tag in workloads.TAGS.items():
                await shop.push_image(name, tag)
            step.happened = f"five services, each a process; {place.cluster.how}"
        for title, scene in SCENES:
            with story.step(title) as step:
                step.happened = await scene(shop, story)
                shop.flux.check_alive()
        story.table()
        if keep:
            await _stay(shop.flux)


async def _stay(flux: Installation) -> None:
    """Print the addresses and wait for Ctrl-C."""
    place = flux.place
    rows = {
        "gateway": f"{flux.gateway_url}  (fluxctl --url {flux.gateway_url} list-workloads -a)",
        "RabbitMQ management": f"{place.broker.management_url}  "
        f"(user {place.broker.username}, password {place.broker.password})",
        "git": f"{place.git.http_url}/shop.git  "
        f"(user {place.git.username}, password {place.git.password})",
        "registry": place.registry.host,
        "kubeconfig": str(place.cluster.kubeconfig),
        "logs": str(flux.directory / "logs"),
    }
    print("\nEverything goes on running; Ctrl-C ends it.")
    for name, value in rows.items():
        print(f"  {name:<22}{value}")
    await asyncio.Event().wait()


async def _until_told(playing: Coroutine[None, None, None]) -> None:
    """End *playing* at Ctrl-C or SIGTERM, also where a shell has made us deaf to the former."""
    this, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert this is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, this.cancel)
    await playing


def main() -> int:
    """Play the demo; return the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    parser.add_argument("--cluster", choices=("auto", "real", "emulator"), default="auto")
    arguments = parser.parse_args()
    story = Story()
    with tempfile.TemporaryDirectory(prefix="flux-demo-") as directory:
        try:
            asyncio.run(
                _until_told(
                    play(Path(directory), story, cluster=arguments.cluster, keep=arguments.keep)
                )
            )
        except asyncio.CancelledError:
            return 0 if arguments.keep and story.ok else 130
        except SandboxError as error:
            print(f"\n{error}", file=sys.stderr)
            return 1
        except (TimeoutError, AssertionError):
            story.table()
            _show_logs(Path(directory))
            return 1
    return 0 if story.ok else 1


def _show_logs(directory: Path) -> None:
    for log in sorted(directory.glob("shop/flux/logs/*.log")):
        lines = log.read_text(errors="replace").splitlines()[-12:]
        print(f"\n--- the end of {log.name}", *lines, sep="\n", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
