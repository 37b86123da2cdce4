"""A gateway on the broker in memory, with a made-up past and stages that answer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp

from services.gateway.domain.view import View
from services.gateway.follow import Follower
from services.gateway.handlers import Handlers
from services.gateway.http_api import Api, serving
from services.gateway.settings import Settings
from shared.bus.client import Client
from shared.bus.memory import MemoryBroker
from shared.bus.port import Outcome
from shared.config.model import Config
from shared.contract import (
    Change,
    Commit,
    Container,
    Draft,
    Envelope,
    HeadQuestion,
    HeadTold,
    Message,
    ObjectResult,
    OrderCompleted,
    PlanMade,
    PlanQuestion,
    RevisionObserved,
    Rollout,
    StateDeclared,
    SyncCompleted,
    Tag,
    TagsListed,
    TagsQuestion,
    UpdateRequested,
    Workload,
    WorkloadChanged,
    WorkloadResult,
)

REPOSITORY = "git.example.com/shop/config#main"
URL = "https://git.example.com/shop/config.git"
CART, PAY = "shop:deployment/cart", "shop:deployment/pay"
IMAGE = "quay.io/shop/cart"
OLD, NEW = "a" * 40, "b" * 40

SUCCESS = WorkloadResult(
    status="success",
    changes=(Change(container="cart", current=f"{IMAGE}:1.3.0", target=f"{IMAGE}:1.4.0"),),
)


def config(**gateway: object) -> Config:
    return Config.model_validate(
        {
            "syncs": [{"name": "apps", "git": {"url": URL, "branch": "main"}}],
            "gateway": {"listen": "127.0.0.1:0", **gateway},
        }
    )


def workload(name: str, **policies: str) -> Workload:
    image = f"quay.io/shop/{name.rpartition('/')[2]}:1.3.0"
    container = Container(name=name.rpartition("/")[2], image=image)
    named = {key.replace("__", "."): value for key, value in policies.items()}
    return Workload(id=name, file="a.yaml", containers=(container,), policies=named)


PAST: tuple[Message, ...] = (
    RevisionObserved(
        repository=REPOSITORY,
        url=URL,
        branch="main",
        revision=OLD,
        commits=(
            Commit(revision=OLD, author="Flux", message="Begin", time="2026-01-01T00:00:00Z"),
        ),
    ),
    StateDeclared(
        sync="apps",
        target="default",
        repository=REPOSITORY,
        url=URL,
        branch="main",
        revision=OLD,
        bundle="d",
        workloads=(
            workload(CART, automated="true", tag__cart="semver:~1"),
            workload(PAY, locked="true"),
        ),
    ),
    WorkloadChanged(
        sync="apps",
        target="default",
        id=CART,
        containers={"cart": f"{IMAGE}:1.3.0"},
        status="ready",
        rollout=Rollout(desired=2, updated=2, ready=2, available=2),
        labels={"app": "cart"},
    ),
    WorkloadChanged(sync="", target="default", id="shop:cronjob/report", status="ready"),
    SyncCompleted(
        sync="apps",
        target="default",
        repository=REPOSITORY,
        revision=OLD,
        objects=(
            ObjectResult(id="apps/Deployment shop/pay", action="failed", message="quota exceeded"),
        ),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    bus: Client
    view: View
    session: aiohttp.ClientSession
    url: str
    heard: list[Message]

    async def say(self, *messages: Message, correlationid: str | None = None) -> None:
        """Say events, and wait until the gateway has folded them."""
        await self.bus.publish(*(Draft(message=m, correlationid=correlationid) for m in messages))
        await asyncio.sleep(0.02)

    async def get(self, path: str, **query: str) -> tuple[int, object]:
        async with self.session.get(f"{self.url}/{path}", params=query) as answer:
            return answer.status, await answer.json()

    async def post(self, path: str, body: str) -> tuple[int, object]:
        """Post as Flux v1's clients do: without a Content-Type."""
        async with self.session.post(
            f"{self.url}/{path}", data=body.encode(), skip_auto_headers=["Content-Type"]
        ) as answer:
            text = await answer.text()
            return answer.status, await answer.json(content_type=None) if text else None


class Stages:
    """Plays the other stages: answers questions, carries out orders, notes signals."""

    def __init__(self) -> None:
        self.heard: list[Message] = []

    async def __call__(self, _: str, messages: Sequence[Envelope]) -> Outcome:
        self.heard += [envelope.message for envelope in messages]
        events = [Draft(message=m, cause=e) for e in messages for m in self._answers(e)]
        return Outcome(events=tuple(events))

    def _answers(self, envelope: Envelope) -> list[Message]:
        match envelope.message:
            case HeadQuestion():
                return [HeadTold(revision=NEW, branch="main")]
            case TagsQuestion(image=image):
                tags = ("1.3.0", "1.4.0", "2.0.0-rc.1", "latest")
                return [TagsListed(image=image, tags=tuple(Tag(name=tag) for tag in tags))]
            case PlanQuestion():
                return [PlanMade(result={CART: SUCCESS})]
            case UpdateRequested():
                done = {CART: SUCCESS}
                order = OrderCompleted(
                    order=envelope.id, about=REPOSITORY, revision=NEW, result=done
                )
                return [order]
        return []


@asynccontextmanager
async def a_stage(
    *, alive: bool = True, past: Sequence[Message] = PAST, **gateway: object
) -> AsyncIterator[Stage]:
    """Run a gateway; without the others *alive* nobody answers it."""
    settings = Settings.of(config(**gateway))
    broker, stages, stop = MemoryBroker([("default", "apps")]), Stages(), asyncio.Event()
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(broker.connect("/gateway/test"))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        view = View(settings.target, settings.syncs)
        api = Api(settings, view, Handlers(settings, view, bus), bus)
        url = await stack.enter_async_context(serving(api, "127.0.0.1", 0))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        stack.callback(stop.set)
        group.create_task(Follower(bus, view).run(stop))
        for service in ("git-watcher", "registry-scanner", "repo-writer", "cluster-applier"):
            if alive:
                group.create_task(bus.worker(service, stages)(stop))
        stage = Stage(bus=bus, view=view, session=session, url=url, heard=stages.heard)
        await stage.say(*past)
        yield stage
