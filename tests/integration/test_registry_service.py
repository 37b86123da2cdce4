"""registry-scanner as a whole, on a bus in memory: one registry that hangs is no other's matter."""

import asyncio
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

from sandbox.oci_registry import faults, oci_registry
from services.registry_scanner import main
from shared.bus import names
from shared.bus.memory import MemoryBroker
from shared.config.model import Config
from shared.contract import Container as Declared
from shared.contract import Draft, ScanCompleted, ScanRequested, StateDeclared, Workload
from shared.runtime.health import Health


async def test_sixty_images_of_a_registry_that_hangs_do_not_hold_up_the_scan_of_another(
    tmp_path: Path,
) -> None:
    async with AsyncExitStack() as stack:
        hangs = await stack.enter_async_context(oci_registry())
        works = await stack.enter_async_context(oci_registry())
        hangs.fail(faults.hangs())
        works.content.push("web", "1.0.0", "1.1.0")
        images = [f"{hangs.host}/web-{number}" for number in range(60)] + [f"{works.host}/web"]
        broker = MemoryBroker()
        bus = await stack.enter_async_context(broker.connect("/registry-scanner"))
        person = await stack.enter_async_context(broker.connect("/test"))
        config = Config.model_validate(
            {
                "syncs": [{"name": "apps", "git": {"url": "https://git.example.com/apps"}}],
                "registries": [{"host": one.host, "insecure": True} for one in (hangs, works)],
                "state_dir": str(tmp_path),
            }
        )
        workers = await stack.enter_async_context(main.wire(config, bus, Health()))
        stop = asyncio.Event()
        group = await stack.enter_async_context(asyncio.TaskGroup())
        running = [group.create_task(worker(stop)) for worker in workers.values()]
        await person.publish(Draft(message=state(images)))
        while hangs.count() < config.automation.registry_concurrency:
            await asyncio.sleep(0.01)
        works.asked.clear()

        await person.publish(Draft(message=ScanRequested(image=images[-1], reason="webhook")))
        events = await stack.enter_async_context(aclosing(person.events(names.LOG)))
        async for _, envelope in events:
            if isinstance(envelope.message, ScanCompleted) and works.asked:
                break
        assert envelope.subject == images[-1]
        # Those that were asked first still hang: nobody has waited for one.
        assert hangs.count() == config.automation.registry_concurrency

        for task in running:
            task.cancel()


def state(images: list[str]) -> StateDeclared:
    workloads = tuple(
        Workload(
            id=f"a:deployment/web-{number}",
            file="web.yaml",
            containers=(Declared(name="main", image=f"{image}:1.0.0"),),
            policies={"automated": "true", "tag.main": "semver:1.x"},
        )
        for number, image in enumerate(images)
    )
    return StateDeclared(
        sync="apps",
        target="default",
        repository="r#main",
        url="u",
        branch="main",
        revision="abc",
        bundle="d",
        workloads=workloads,
    )
