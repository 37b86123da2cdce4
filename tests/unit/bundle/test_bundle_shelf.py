"""The newest bundle of a stream is found, and never waited for in vain."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.bundle import store
from shared.bundle.format import Bundle, Header
from shared.bundle.packing import Item, pack
from shared.bundle.store import Shelf
from shared.bus.memory import MemoryBroker
from shared.bus.port import Bus
from shared.manifests import ObjectId

pytestmark = [pytest.mark.asyncio(loop_scope="function"), pytest.mark.looptime]


@pytest.fixture
async def bus() -> AsyncIterator[Bus]:
    async with MemoryBroker([("default", "apps")]).connect("/test") as bus:
        yield bus


def bundle(revision: str) -> Bundle:
    named = ObjectId.parse("ConfigMap shop/a")
    item = Item(id=named, version="v1", body=b"{}", digest="d", file="a.yaml", line=1)
    header = Header(sync="apps", target="default", repository="r", url="u", revision=revision)
    return pack(header, [item])


def revision(found: Bundle | None) -> str | None:
    return found.header.revision if found else None


async def test_without_a_wish_the_newest_is_found_by_silence(bus: Bus) -> None:
    shelf = Shelf(bus, "default", "apps")
    assert await shelf.newest() is None
    for name in "ab":
        await store.publish(bus, bundle(name))

    assert revision(await shelf.newest()) == "b"
    assert revision(shelf.last) == "b"


async def test_a_bundle_that_is_wanted_is_waited_for(bus: Bus) -> None:
    shelf = Shelf(bus, "default", "apps")
    await store.publish(bus, bundle("a"))
    waiting = asyncio.create_task(shelf.newest(bundle("b").digest))
    await asyncio.sleep(1)
    await store.publish(bus, bundle("b"))

    assert revision(await waiting) == "b"


async def test_it_is_taken_as_soon_as_it_is_there(bus: Bus) -> None:
    loop = asyncio.get_running_loop()
    await store.publish(bus, bundle("a"))
    begin = loop.time()
    assert revision(await Shelf(bus, "default", "apps").newest(bundle("a").digest)) == "a"
    assert loop.time() - begin < 0.1


async def test_an_old_wish_gets_the_newest_soon(bus: Bus) -> None:
    shelf, loop = Shelf(bus, "default", "apps"), asyncio.get_running_loop()
    for name in "ab":
        await store.publish(bus, bundle(name))
        await shelf.newest(bundle(name).digest)
    begin = loop.time()

    assert revision(await shelf.newest(bundle("b").digest)) == "b"
    assert loop.time() == begin
    assert revision(await shelf.newest(bundle("a").digest)) == "b"
    assert loop.time() - begin == pytest.approx(store.SILENCE, abs=0.01)


async def test_what_is_declared_again_as_it_was_before_is_the_newest(bus: Bus) -> None:
    shelf = Shelf(bus, "default", "apps")
    for name in "aba":
        await store.publish(bus, bundle(name))
        assert revision(await shelf.newest(bundle(name).digest)) == name


async def test_two_readers_at_once_never_go_back(bus: Bus) -> None:
    shelf = Shelf(bus, "default", "apps")
    for name in "ab":
        await store.publish(bus, bundle(name))
    await asyncio.gather(shelf.newest(bundle("b").digest), shelf.newest(bundle("a").digest))

    assert revision(shelf.last) == "b"


@pytest.mark.parametrize(("known", "seconds"), [("", 10.0), ("a", store.LATE)])
async def test_what_never_comes_is_given_up(bus: Bus, known: str, seconds: float) -> None:
    shelf, loop = Shelf(bus, "default", "apps"), asyncio.get_running_loop()
    if known:
        await store.publish(bus, bundle(known))
        await shelf.newest()
    begin = loop.time()

    assert revision(await shelf.newest("never")) == (known or None)
    assert loop.time() - begin == pytest.approx(seconds, abs=0.1)


async def test_a_bundle_that_was_torn_is_read_when_it_is_written_again(bus: Bus) -> None:
    shelf, wanted = Shelf(bus, "default", "apps"), bundle("a")
    await bus.append("default.apps", wanted.records()[:1])
    assert await shelf.newest() is None
    await store.publish(bus, wanted)

    assert revision(await shelf.newest(wanted.digest)) == "a"
