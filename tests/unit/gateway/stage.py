"""A gateway on the broker in memory, with a made-up past and stages that answer."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

from services.gateway.alarm import Alarm
from services.gateway.asking import Asking
from services.gateway.checkpoint import Checkpoint
from services.gateway.control import Control
from services.gateway.dead_letters import DeadLetters
from services.gateway.domain.view import View
from services.gateway.follow import Follower
from services.gateway.handlers import Handlers
from services.gateway.http_api import Api, serving
from services.gateway.ports import Post
from services.gateway.registry_tags import RegistryTags
from services.gateway.settings import Settings
from services.gateway.stream import Listeners
from shared.bus.client import Client
from shared.bus.memory import MemoryBroker
from shared.bus.names import LOG
from shared.bus.port import Outcome, Pace
from shared.config.model import Config
from shared.contract import (
    Change,
    Commit,
    Container,
    DiffMade,
    DiffQuestion,
    Draft,
    Envelope,
    HeadQuestion,
    HeadTold,
    Message,
    ObjectDiff,
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

BRISK = Pace(beat=0.1)
PLACES = [("default", "apps")]
STAGES = ("git-watcher", "registry-scanner", "repo-writer", "cluster-applier")
REPOSITORY = "git.example.com/shop/config#main"
URL = "https://git.example.com/shop/config.git"
CART, PAY = "shop:deployment/cart", "shop:deployment/pay"
IMAGE = "quay.io/shop/cart"
OLD, NEW = "a" * 40, "b" * 40

SUCCESS = WorkloadResult(
    status="success",
    changes=(Change(container="cart", current=f"{IMAGE}:1.3.0", target=f"{IMAGE}:1.4.0"),),
)


APPS = {"name": "apps", "git": {"url": URL, "branch": "main"}}


def config(
    syncs: Sequence[object] = (APPS,),
    targets: Sequence[object] = ({"name": "default"},),
    **gateway: object,
) -> Config:
    return Config.model_validate(
        {
            "syncs": list(syncs),
            "targets": list(targets),
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
    others: Client
    view: View
    session: aiohttp.ClientSession
    url: str
    heard: list[Message]
    broker: MemoryBroker
    follower: Follower
    listeners: Listeners
    api: Api

    async def say(self, *messages: Message, correlationid: str | None = None) -> None:
        """Say events, and wait until the gateway has folded them."""
        await self.others.publish(
            *(Draft(message=m, correlationid=correlationid) for m in messages)
        )
        await self.settled()

    async def settled(self) -> None:
        """Wait until the gateway has folded all that was said."""
        async with asyncio.timeout(30):
            while self._folded < len(self.broker.streams[LOG].packets):
                await asyncio.sleep(0)

    @property
    def _folded(self) -> int:
        """How much of the log the gateway knows: in memory, offsets count from zero."""
        return self.follower.place.offset + 1 if self.follower.place else 0

    async def get(self, path: str, **query: str) -> tuple[int, Any]:
        async with self.session.get(f"{self.url}/{path}", params=query) as answer:
            return answer.status, await answer.json()

    async def post(self, path: str, body: object) -> tuple[int, Any]:
        """Post as Flux v1's clients do: without a Content-Type; bytes and text as they are."""
        return await self.send("POST", path, body)

    async def send(
        self, method: str, path: str, body: object = b"", **headers: str
    ) -> tuple[int, Any]:
        """Send anything; what is answered must be JSON in any case."""
        data = body if isinstance(body, bytes) else str(body).encode()
        if not isinstance(body, bytes | str):
            data = json.dumps(body).encode()
        async with self.session.request(
            method,
            f"{self.url}/{path}",
            data=io.BytesIO(data),
            headers=headers,
            skip_auto_headers=["Content-Type"],
            allow_redirects=False,
        ) as answer:
            text = await answer.text()
            return answer.status, await answer.json() if text else None

    async def finished(self, job: object) -> dict[str, Any]:
        """Wait for a job as clients do."""
        async with asyncio.timeout(30):
            while True:
                status, found = await self.get("v6/jobs", id=str(job))
                assert status == 200
                if found["StatusString"] in {"succeeded", "failed"}:
                    return dict(found)
                await asyncio.sleep(0.01)


Answers = Callable[[Envelope], Sequence[Message]]
"""What the other stages say to a message."""


def willing(envelope: Envelope) -> Sequence[Message]:
    """Answer every question, and carry out every order."""
    match envelope.message:
        case HeadQuestion():
            return [HeadTold(revision=NEW, branch="main")]
        case TagsQuestion(image=image):
            tags = ("1.3.0", "1.4.0", "2.0.0-rc.1", "latest")
            return [TagsListed(image=image, tags=tuple(Tag(name=tag) for tag in tags))]
        case PlanQuestion():
            return [PlanMade(result={CART: SUCCESS})]
        case DiffQuestion():
            changed = ObjectDiff(id="ConfigMap shop/a", action="configured", text="-a\n+b")
            return [DiffMade(revision=NEW, objects=(changed,), left_off=1)]
        case UpdateRequested(repository=about):
            done = {CART: SUCCESS}
            return [OrderCompleted(order=envelope.id, about=about, revision=NEW, result=done)]
    return []


class Stages:
    """Plays the other stages, and notes what they heard."""

    def __init__(self, answers: Answers) -> None:
        self.heard: list[Message] = []
        self._answers = answers

    async def __call__(self, _: str, messages: Sequence[Envelope]) -> Outcome:
        self.heard += [envelope.message for envelope in messages]
        events = [Draft(message=m, cause=e) for e in messages for m in self._answers(e)]
        return Outcome(events=tuple(events))


@asynccontextmanager
async def a_stage(
    *,
    alive: Sequence[str] = STAGES,
    past: Sequence[Message] = PAST,
    answers: Answers = willing,
    syncs: Sequence[object] = (APPS,),
    deadline: float = 5.0,
    unheard: float = 45.0,
    post: Callable[[Client], Post] = lambda bus: bus,
    broker: MemoryBroker | None = None,
    state: Path | None = None,
    **gateway: object,
) -> AsyncIterator[Stage]:
    """
    Run a gateway; of the other stages only those *alive* answer, within *deadline* seconds.

    On the *broker* and the *state* of an earlier one it is that one, started again.
    """
    settings = Settings.of(config(syncs, **gateway))
    broker, stages, stop = broker or MemoryBroker(PLACES), Stages(answers), asyncio.Event()
    async with AsyncExitStack() as stack:
        state = state or Path(stack.enter_context(TemporaryDirectory()))
        bus = await stack.enter_async_context(broker.connect("/gateway/test", pace=BRISK))
        others = await stack.enter_async_context(broker.connect("/others/test", pace=BRISK))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        view, listeners = View(settings.target, settings.syncs), Listeners()
        asking = Asking(post(bus), view, say=deadline, answer=deadline)
        checkpoint = Checkpoint(state / "view.checkpoint", of=settings.about)
        follower = Follower(bus, view, listeners, checkpoint, idle=0.005, patience=0.05)
        alarm = Alarm(bus, look=0.01)
        handlers = Handlers(settings, view, asking, unheard=unheard)
        api = Api(
            settings,
            view,
            handlers=handlers,
            tags=RegistryTags(view, asking),
            follower=follower,
            listeners=listeners,
            dead=DeadLetters(bus, alarm),
            control=Control(view, handlers, asking),
            catch_up=0.5,
        )
        url = await stack.enter_async_context(serving(api, "127.0.0.1", 0))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        stack.callback(stop.set)
        group.create_task(follower.run(stop))
        group.create_task(alarm.run(stop))
        for service in alive:
            group.create_task(others.worker(service, stages)(stop))
        stage = Stage(
            bus=bus,
            others=others,
            view=view,
            session=session,
            url=url,
            heard=stages.heard,
            broker=broker,
            follower=follower,
            listeners=listeners,
            api=api,
        )
        await stage.say(*past)
        yield stage
