"""
New images until they are in git and on the cluster, beside the best that Flux v1 and Flux 2 reach.

Those were measured on a quiet machine with 2 cores, with this control plane, and a webhook for each
image. They gather nothing, so ours are taken without a window as well as with the default.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing

import aiohttp

from benchmarks import bare
from benchmarks.place import two_worlds
from benchmarks.row import LARGE, TIMES, Row, at_most, median
from benchmarks.updates import bare_update
from sandbox.kube import images
from sandbox.world import World
from shared.bus import names, rabbit
from shared.config.images import Automation
from shared.contract import ScanCompleted

MANY = 50
UNHOOKED = 20
"""Images of which the registry tells nothing; their mean is that of an interval within a few s."""
COUNTS = (10, 100, 1000)
"""Tags in an image repository."""

PEERS = {
    "1-of-1.to-commit": 0.21,
    "1-of-1.to-applied": 0.49,
    "50-of-1.to-commit": 0.49,
    "50-of-1.to-applied": 1.5,
    "50-of-50.to-commit": 2.2,
    "50-of-50.to-applied": 3.1,
    "unhooked.to-commit": 27.0,
}
"""Seconds, the better of the two; `50-of-1` is 50 workloads of one image."""
AT_REST = 0.045
"""Seconds of the floor of a commit on the machine of those figures. Where it takes longer, because
others use the machine as well, they would have taken as many times longer."""
REQUESTS = 2
"""Of a scan of theirs, without creation times."""

Released = tuple[float, float, float]
"""Seconds to the last commit, and to the cluster; how many commits."""


async def measure() -> list[Row]:
    """Measure one image, fifty workloads of one, and of fifty, without a webhook, and requests."""
    async with two_worlds({}, {"automation": {"quiet": "0s"}}) as (gathering, at_once):
        floors = await _floors(gathering)
        return [
            *await _hooked(gathering, "", floors),
            *await _hooked(at_once, "quiet-0.", floors),
            await _unhooked(gathering),
            *await _requests(gathering),
        ]


async def _floors(world: World) -> tuple[float, float]:
    """Return what it takes without us to write to git, and to get that onto the cluster."""
    commit = [await bare_update(world, "other", turn) for turn in range(TIMES)]
    applied = [await bare.push_fetch_apply(world, turn) for turn in range(TIMES)]
    return median(commit), median(commit) + median(seconds for seconds, _ in applied)


async def _hooked(world: World, title: str, floors: Sequence[float]) -> list[Row]:
    cases: list[tuple[str, int, Mapping[str, str]]] = [
        ("1-of-1", TIMES, {"single": "single"}),
        ("50-of-1", LARGE, {f"same-{n}": "same" for n in range(MANY)}),
        ("50-of-50", LARGE, {f"own-{n}": f"own-{n}" for n in range(MANY)}),
    ]
    slower = max(1.0, floors[0] / AT_REST)
    rows = []
    for case, turns, workloads in cases:
        await _declare(world, workloads)
        releases = [await _released(world, workloads, f"1.{n}.0") for n in range(1, turns + 1)]
        commit, applied, commits = map(median, zip(*releases, strict=True))
        name = f"update.ahead.{title}{case}"
        for kind, value, floor in (("commit", commit, floors[0]), ("applied", applied, floors[1])):
            bar = PEERS[f"{case}.to-{kind}"] * slower
            rows.append(at_most(f"{name}.to-{kind}", value, "s", floor=floor, bar=bar))
        if not title:
            rows.append(at_most(f"{name}.commits", commits, "commits", floor=1, bar=1))
    return rows


async def _declare(world: World, workloads: Mapping[str, str]) -> None:
    for image in set(workloads.values()):
        await world.push_image(image, "1.0.0")
    texts = {f"{name}.yaml": _workload(world, name, image) for name, image in workloads.items()}
    await world.push("Add", texts)
    await _applied(world, workloads, "1.0.0")
    await asyncio.sleep(3)  # until what is new has been read


def _workload(world: World, name: str, image: str) -> str:
    text = world.deployment(name).replace("replicas: 1", "replicas: 0")
    return text.replace(f"/{name}:1.0.0", f"/{image}:1.0.0")


async def _released(world: World, workloads: Mapping[str, str], tag: str) -> Released:
    """Push a newer tag of all images and tell it; return what came of it."""
    head = await world.copy.pull()
    some = sorted(set(workloads.values()))
    for image in some:
        await world.push_image(image, tag)
    begin = time.perf_counter()
    await asyncio.gather(*(world.image_hook(image) for image in some))
    applied = asyncio.create_task(_applied(world, workloads, tag))
    written = await _written(world, workloads, tag)
    await applied
    taken = time.perf_counter() - begin
    await asyncio.sleep(1)
    return written - begin, taken, float(len(await world.wait_commits(head)))


async def _written(world: World, workloads: Mapping[str, str], tag: str) -> float:
    """Return when the branch was where it has all that was wanted."""
    path = world.flux.place.git.root / f"{world.namespace}.git" / "refs" / "heads" / "main"
    seen, moved = path.read_text(), time.perf_counter()
    async with asyncio.timeout(120):
        while True:
            if (now := path.read_text()) != seen:
                seen, moved = now, time.perf_counter()
                await world.copy.pull()
                texts = (world.copy.read(f"{name}.yaml") for name in workloads)
                if all(f":{tag}\n" in text for text in texts):
                    return moved
            await asyncio.sleep(0.002)


async def _applied(world: World, workloads: Mapping[str, str], tag: str) -> None:
    """Wait until the cluster has *tag* of all of them."""
    async with asyncio.timeout(120):
        while True:
            found = await world.kube.list("Deployment", world.namespace)
            there = {one["metadata"]["name"]: images(one) for one in found}
            if all(there.get(name, [""])[0].endswith(f":{tag}") for name in workloads):
                return
            await asyncio.sleep(0.01)


async def _unhooked(world: World) -> Row:
    """Tell nobody of new tags; the next look at each image finds them."""
    workloads = {f"alone-{n}": f"alone-{n}" for n in range(UNHOOKED)}
    await _declare(world, workloads)
    begin = time.perf_counter()
    for image in workloads:
        await world.push_image(image, "1.1.0")
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(_declared(world, name, begin)) for name in workloads]
    key = "unhooked.to-commit"
    mean = sum(one.result() for one in waits) / UNHOOKED
    floor = Automation().interval / 2
    return at_most(f"update.ahead.{key}", mean, "s", floor=floor, bar=PEERS[key])


async def _declared(world: World, name: str, begin: float) -> float:
    file = world.flux.place.git.root / f"{world.namespace}.git"
    async with asyncio.timeout(120):
        while ":1.1.0\n" not in await world.copy.git("-C", str(file), "show", f"main:{name}.yaml"):
            await asyncio.sleep(0.25)
    return time.perf_counter() - begin


async def _requests(world: World) -> list[Row]:
    rows = []
    for count in COUNTS:
        image = f"tags-{count}"
        await world.push_image(image, "1.0.0")
        await _tag(world, image, [f"0.{n}.0" for n in range(count - 1)])
        await world.push("Add", {f"{image}.yaml": _workload(world, image, image)})
        await _applied(world, {image: image}, "1.0.0")
        cold, *_ = await _scans(world, image, 1)
        await world.image_hook(image)
        later = (await _scans(world, image, 2))[-1]
        for kind, made in (("cold", cold), ("later", later)):
            name = f"update.ahead.{count}-tags.{kind}"
            rows.append(at_most(name, made, "requests", floor=1, bar=REQUESTS))
    return rows


async def _tag(world: World, image: str, tags: Sequence[str]) -> None:
    """Give an image more tags."""
    url = f"http://{world.host}/v2/{world.namespace}/{image}/manifests"
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/1.0.0", headers={"Accept": kind}) as answer:
            manifest = await answer.read()
        for tag in tags:
            headers = {"Content-Type": kind}
            async with session.put(f"{url}/{tag}", data=manifest, headers=headers) as answer:
                answer.raise_for_status()


async def _scans(world: World, image: str, enough: int) -> list[int]:
    """Return how many requests each scan of *image* so far has made, once there are *enough*."""
    found: list[int] = []
    async with (
        asyncio.timeout(60),
        rabbit.connect(world.flux.amqp_url, source="/bench") as bus,
        aclosing(bus.events(names.LOG)) as events,
    ):
        async for _, envelope in events:
            one = envelope.message
            if isinstance(one, ScanCompleted) and one.image.endswith(f"/{image}"):
                found.append(one.requests)
            if len(found) == enough:
                return found
    raise AssertionError("a stream never ends by itself")
