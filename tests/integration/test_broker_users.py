"""RabbitMQ itself refuses what a service may not do; `shared.bus.grants` says what that is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aio_pika
import aiohttp
import pytest
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import ChannelAccessRefused, ChannelPreconditionFailed
from yarl import URL

from sandbox.broker import Broker, rabbitmq
from sandbox.progress import silent
from sandbox.virtual_host import service_urls, virtual_host
from shared.bus import names, rabbit
from shared.bus.grants import grant
from shared.bus.layout import topology
from shared.bus.management import Management
from shared.bus.topology import declare
from shared.contract import Command, Draft, Event, PollRequested, Reply
from shared.contract.registry import MESSAGES, PUBLISHERS, SERVICES, STAGES
from shared.runtime.errors import PermanentError

pytestmark = [pytest.mark.rabbit, pytest.mark.timeout(240)]

SYNCS = [("default", "apps")]
POLL = PollRequested(repository="git.example.com/apps#main")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A virtual host with everything declared."""

    url: str
    node: Broker
    urls: Mapping[str, str]

    def user(self, service: str) -> str:
        return URL(self.urls[service]).user or ""

    @asynccontextmanager
    async def management(self) -> AsyncIterator[Management]:
        async with Management.open(self.node.management_url, URL(self.url)) as found:
            yield found


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    async with rabbitmq(tmp_path_factory.mktemp("broker"), say=silent) as found:
        yield found


@pytest.fixture(scope="module")
async def place(node: Broker) -> AsyncIterator[Place]:
    async with virtual_host(node, "users") as url:
        urls = service_urls(url, SERVICES)
        await declare(
            topology(SYNCS), amqp_url=url, management_url=node.management_url, service_urls=urls
        )
        yield Place(url=url, node=node, urls=urls)


Action = Callable[[AbstractChannel], Awaitable[object]]


async def refused(connection: AbstractConnection, action: Action) -> bool:
    """Do something on a channel of its own; tell whether the broker forbids it."""
    channel = await connection.channel()
    try:
        await action(channel)
    except ChannelAccessRefused:
        return True
    finally:
        with suppress(aio_pika.exceptions.ChannelInvalidStateError):
            await channel.close()
    return False


def publishing(exchange: str, key: str, user: str | None = None) -> Action:
    async def publish(channel: AbstractChannel) -> None:
        place = await channel.get_exchange(exchange, ensure=False)
        await place.publish(aio_pika.Message(b"{}", user_id=user), key, mandatory=False)

    return publish


def key_of(kind: str) -> str:
    message = MESSAGES[kind]
    if issubclass(message, Reply):
        return f"{kind}.gateway.1f"
    return f"{kind}.7" if issubclass(message, Event | Command) else ""


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_may_say_its_own_types_and_no_other(place: Place, service: str) -> None:
    async with await aio_pika.connect(place.urls[service]) as connection:
        said = set()
        for kind, message in MESSAGES.items():
            key = key_of(kind) or service  # an announcement goes by the stage's name
            if not await refused(
                connection, publishing(names.exchange(message), key, place.user(service))
            ):
                said.add(kind)
    assert said == {kind for kind, services in PUBLISHERS.items() if service in services}


@pytest.mark.parametrize("service", SERVICES)
async def test_nobody_writes_to_queues_by_name_or_beside_the_table(
    place: Place, service: str
) -> None:
    others = [one for one in STAGES if one != service]
    beside = {
        "amq.default": publishing("", "repo-writer.3"),
        names.STATE: publishing(names.STATE, "default.apps"),
        names.REPLAY: publishing(names.REPLAY, "repo-writer.3"),
        names.DEAD: publishing(names.DEAD, "unreadable"),
        **{f"presence of {one}": publishing(names.PRESENCE, one) for one in others},
    }
    async with await aio_pika.connect(place.urls[service]) as connection:
        found = {name for name, act in beside.items() if not await refused(connection, act)}
    allowed = {"git-watcher": {names.STATE, names.DEAD}, "gateway": {names.REPLAY}}
    assert found == allowed.get(service, {names.DEAD})


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_reads_its_own_queues_and_no_other(place: Place, service: str) -> None:
    readable = set()
    queues = [*(names.queue(one, 3) for one in STAGES), names.DEAD]
    streams = [names.LOG, names.DECLARED, names.state_stream(*SYNCS[0])]
    async with await aio_pika.connect(place.urls[service]) as connection:
        for name in (*queues, *streams):

            async def consume(channel: AbstractChannel, name: str = name) -> None:
                await channel.set_qos(1)
                queue = await channel.get_queue(name, ensure=False)
                await queue.consume(asyncio.Queue().put)

            if not await refused(connection, consume):
                readable.add(name)
    own = {names.queue(service, 3)} if service in STAGES else set()
    more = {
        "registry-scanner": {names.DECLARED},
        "cluster-applier": {names.state_stream(*SYNCS[0])},
        "gateway": {names.LOG, names.DEAD},
    }
    assert readable == own | more.get(service, set())


@pytest.mark.parametrize("service", SERVICES)
async def test_nobody_can_change_what_the_topology_declares(place: Place, service: str) -> None:
    own = names.own_queue(service, names.REPLIES, "#")

    async def declare_more(channel: AbstractChannel) -> None:
        await channel.declare_queue("more", durable=True)

    async def delete(channel: AbstractChannel) -> None:
        await channel.queue_delete(names.queue("repo-writer", 3))

    async def bind(channel: AbstractChannel) -> None:
        queue = await channel.get_queue(names.queue("git-watcher", 3), ensure=False)
        await queue.bind(names.EVENTS, "update.pushed.v1.3")

    async def listen_in(channel: AbstractChannel) -> None:
        queue = await channel.declare_queue(own, exclusive=True, auto_delete=True)
        await queue.bind(names.REPLIES, "#")

    async with await aio_pika.connect(place.urls[service]) as connection:
        for act in (declare_more, delete, bind, listen_in):
            assert await refused(connection, act), act.__name__


@pytest.mark.parametrize("service", SERVICES)
async def test_nobody_can_say_that_he_is_another(place: Place, service: str) -> None:
    (kind, *_) = [one for one, who in PUBLISHERS.items() if service in who]
    act = publishing(names.exchange(MESSAGES[kind]), key_of(kind) or service, "admin")
    async with await aio_pika.connect(place.urls[service]) as connection:
        with pytest.raises(ChannelPreconditionFailed, match="user_id"):
            await refused(connection, act)


async def test_what_the_broker_refuses_is_told_and_sent_when_it_is_allowed(place: Place) -> None:
    user, password = place.user("git-watcher"), URL(place.urls["git-watcher"]).password or ""
    less = grant("registry-scanner")
    async with (
        place.management() as management,
        rabbit.connect(place.urls["git-watcher"], source="/git-watcher/1") as bus,
    ):
        await management.admit(user, password, less)
        async with asyncio.TaskGroup() as group:
            saying = group.create_task(bus.publish(Draft(message=POLL)))
            async with asyncio.timeout(30):
                while not any("poll.requested" in said for said in bus.problems()):
                    await asyncio.sleep(0.05)
            assert not saying.done()
            assert any("ACCESS_REFUSED" in said for said in bus.problems().values())
            await management.admit(user, password, grant("git-watcher"))
        assert not [said for said in bus.problems() if "poll.requested" in said]


async def test_an_administrator_is_never_made_a_service(place: Place) -> None:
    admin = URL(place.url).user or ""
    async with place.management() as management:
        with pytest.raises(PermanentError, match="administrator"):
            await management.admit(admin, "x", grant("gateway"))
    assert await _status(place, place.url) == 200


async def _status(place: Place, url: str) -> int:
    login = aiohttp.encode_basic_auth(URL(url).user or "", URL(url).password or "")
    async with (
        aiohttp.ClientSession(headers={"Authorization": login}) as session,
        session.get(f"{place.node.management_url}/api/whoami") as answer,
    ):
        return answer.status


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_has_no_way_to_the_management_page(place: Place, service: str) -> None:
    assert await _status(place, place.urls[service]) == 401


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("amqp://gateway:x@127.0.0.1/v", "a user that is called git-watcher"),
        ("amqp://git-watcher@127.0.0.1/v", "must have a password"),
        ("amqp://git-watcher:x@127.0.0.1/other", "the virtual host /other"),
    ],
)
async def test_an_address_that_is_no_services_is_refused_before_anything(
    url: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(PermanentError, match=reason):
        await declare(
            topology([]),
            amqp_url="amqp://nobody@127.0.0.1:1/v",
            management_url=f"http://{tmp_path.name}.example",
            service_urls={"git-watcher": url},
        )
