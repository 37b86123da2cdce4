"""Creation times cost two requests for each new digest, once, and are those of the right image."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from structlog.testing import capture_logs

from sandbox.oci_registry import faults
from services.registry_scanner import handlers
from services.registry_scanner.domain.causes import Causes
from services.registry_scanner.domain.wanted import Wanted
from shared.bus.memory import MemoryBroker
from shared.contract import (
    Container,
    Draft,
    ImagesFound,
    ScanCompleted,
    ScanRequested,
    StateDeclared,
    Workload,
)
from shared.images import Candidate
from shared.runtime.errors import TemporaryError
from tests.integration.registries import TAGS, Scanner, scanning

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def scanner(tmp_path: Path) -> AsyncIterator[Scanner]:
    async with scanning(tmp_path) as started:
        yield started


def push(scanner: Scanner, count: int, *, first: int = 0) -> list[str]:
    """Push builds, each a minute younger than the one before."""
    tags = [f"main-{number:05}" for number in range(first, first + count)]
    for number, tag in enumerate(tags):
        created = START + timedelta(minutes=first + number)
        scanner.own.content.push("acme/app", tag, created=created)
    return tags


async def candidates(scanner: Scanner, tags: Sequence[str]) -> Sequence[Candidate]:
    async with scanner.reading() as registries:
        return await registries.candidates(f"{scanner.own.host}/acme/app", tags, tags)


async def created(scanner: Scanner, tag: str = "it") -> datetime | None:
    (found,) = await candidates(scanner, [tag])
    return found.created


async def scan(
    scanner: Scanner, policy: str, image: str = "acme/app:main-00000", **policies: str
) -> tuple[ScanCompleted | None, list[str]]:
    """Scan as the service does; return what is told of the scan, and the tags that it chose."""
    name = f"{scanner.own.host}/{image}"
    policies = {"automated": "true", "tag.main": policy} | policies
    containers = (Container(name="main", image=name),)
    workload = Workload(id="a:deployment/b", file="b", containers=containers, policies=policies)
    places = {"target": "t", "repository": "r#main", "url": "u", "branch": "main"}
    wanted = Wanted({"apps"})
    state = StateDeclared(sync="apps", revision="abc", bundle="d", workloads=(workload,), **places)
    wanted.fold(state)
    asked = name.rpartition(":")[0]
    group = [Draft(message=ScanRequested(image=asked)).sealed("/test")]
    async with scanner.reading() as registries, MemoryBroker().connect("/test") as bus:
        outcome = await handlers.on_group(
            asked, group, wanted=wanted, registries=registries, bus=bus, causes=Causes()
        )
    told = [draft.message for draft in outcome.events]
    completed = [one for one in told if isinstance(one, ScanCompleted)]
    chosen = [one.chosen.rpartition(":")[2] for one in told if isinstance(one, ImagesFound)]
    return (completed[0] if completed else None), chosen


# What it costs


async def test_a_version_is_chosen_for_one_list_and_nothing_else(scanner: Scanner) -> None:
    completed, chosen = await scan(scanner, "semver:1.x", f"acme/web:{TAGS[0]}")
    assert chosen == TAGS[-1:]
    assert completed is not None
    assert completed.tags == len(TAGS)
    assert completed.requests == len(scanner.own.asked) == scanner.own.count("/tags/list") == 9


async def test_builds_cost_two_requests_each_once_also_across_restarts(scanner: Scanner) -> None:
    push(scanner, 10)
    scanner.own.content.push("acme/app", "feature-1", created=START)
    completed, chosen = await scan(scanner, "glob:main-*")
    assert chosen == ["main-00009"]
    assert completed is not None
    assert (completed.requests, len(scanner.own.asked)) == (1 + 20, 1 + 20)

    scanner.own.asked.clear()
    assert (await scan(scanner, "glob:main-*"))[1] == ["main-00009"]
    assert len(scanner.own.asked) == 1

    push(scanner, 2, first=10)
    scanner.own.asked.clear()
    assert (await scan(scanner, "glob:main-*"))[1] == ["main-00011"]
    assert len(scanner.own.asked) == 1 + 4


@pytest.mark.parametrize(
    "policies",
    [{"locked": "true"}, {"ignore": "true"}, {"automated": "false"}, {"automated": "True"}],
)
async def test_what_is_not_automated_is_not_read(
    scanner: Scanner, policies: dict[str, str]
) -> None:
    push(scanner, 2)
    assert await scan(scanner, "glob:*", **policies) == (None, [])
    assert scanner.own.asked == []


async def test_tags_of_one_digest_share_its_configuration(scanner: Scanner) -> None:
    scanner.own.content.push("acme/app", "a", "b", "c", created=START)
    assert {one.created for one in await candidates(scanner, ["a", "b"])} == {START}
    assert len(scanner.own.asked) == 2 + 1
    assert {one.created for one in await candidates(scanner, ["a", "b", "c"])} == {START}
    assert len(scanner.own.asked) == 2 + 1 + 1


async def test_a_tag_pushed_again_triggers_nothing_and_costs_nothing(scanner: Scanner) -> None:
    push(scanner, 3)
    first = await candidates(scanner, ["main-00000"])
    scanner.own.content.push("acme/app", "main-00000", created=START + timedelta(days=9))
    scanner.own.asked.clear()

    assert await candidates(scanner, ["main-00000"]) == first
    assert scanner.own.asked == []


async def test_a_limit_on_the_way_keeps_what_was_read_and_goes_on_from_there(
    scanner: Scanner,
) -> None:
    tags = push(scanner, 20)
    scanner.concurrency = 1
    scanner.own.fail(faults.status(429), where="/blobs/", after=5, times=1)
    with pytest.raises(TemporaryError, match="limits our rate"):
        await candidates(scanner, tags)
    assert scanner.own.count("/manifests/") == 20
    assert scanner.own.count("/blobs/") == 6

    scanner.own.asked.clear()
    assert all(one.created for one in await candidates(scanner, tags))
    assert scanner.own.count("/blobs/") == 15


async def test_after_a_limit_no_further_request_is_sent(scanner: Scanner) -> None:
    tags = push(scanner, 50)
    scanner.own.fail(faults.status(429, Retry_After="100"), where="/manifests/")
    with pytest.raises(TemporaryError):
        await candidates(scanner, tags)
    assert len(scanner.own.asked) <= scanner.concurrency


async def test_ten_thousand_tags_are_read_a_few_at_a_time(scanner: Scanner) -> None:
    scanner.own.content.push("acme/app", *(tags := [f"t{n}" for n in range(10_000)]), created=START)
    most = 0

    async def note(request: web.Request, go_on: Handler) -> web.StreamResponse:
        nonlocal most
        most = max(most, len(asyncio.all_tasks()))
        return await go_on(request)

    scanner.own.fail(note)
    found = await candidates(scanner, tags)

    assert [one.tag for one in found] == tags
    assert {one.created for one in found} == {START}
    assert most < 10 * scanner.concurrency


# Which time it is


@pytest.mark.parametrize("oci", [True, False])
async def test_of_an_index_the_image_for_linux_amd64_counts(scanner: Scanner, *, oci: bool) -> None:
    content, moments = scanner.own.content, [START + timedelta(days=n) for n in range(3)]
    images = [content.push("acme/app", created=moment, oci=oci) for moment in moments]
    platforms = ["unknown/unknown", "linux/arm64", "linux/amd64"]
    pairs = list(zip(platforms, images, strict=True))
    index = content.push_index("acme/app", "it", images=pairs, oci=oci)
    other = content.push_index("acme/app", "other", images=pairs[:2], oci=oci)

    it, second = await candidates(scanner, ["it", "other"])
    assert (it.created, it.digest) == (moments[2], index)
    assert (second.created, second.digest) == (moments[1], other)
    assert len(scanner.own.asked) == 3 + 3


@pytest.mark.parametrize(
    ("created_at", "labels", "expected"),
    [
        ("2026-01-01T00:00:00Z", {}, START),
        ("2026-01-01T01:00:00.123456789+01:00", {}, START.replace(microsecond=123456)),
        ("1970-01-01T00:00:00Z", {"org.opencontainers.image.created": f"{START}"}, START),
        ("1980-01-01T00:00:01Z", {"org.label-schema.build-date": f"{START}"}, START),
        (f"{START}", {"org.opencontainers.image.created": "2025-01-01T00:00:00Z"}, START),
        (f"{START}", {"org.label-schema.build-date": "2025-01-01T00:00:00Z"}, START),
        (None, {"org.opencontainers.image.created": "yesterday"}, None),
        (None, {"org.opencontainers.image.created": "2026-01-01T00:00:00"}, None),
        ("0001-01-01T00:00:00Z", {}, None),
        ("2026-13-01T00:00:00Z", {}, None),
        (None, {}, None),
    ],
)
async def test_the_configuration_counts_then_its_labels_and_no_placeholder_does(
    scanner: Scanner,
    created_at: str | None,
    labels: dict[str, str],
    expected: datetime | None,
) -> None:
    scanner.own.content.push("acme/app", "it", created=created_at, labels=labels)
    assert await created(scanner) == expected
    scanner.own.asked.clear()
    assert await created(scanner) == expected
    assert scanner.own.asked == []  # also that there is none is known from then on


# What can't be read


async def test_a_digest_that_is_not_told_is_computed(scanner: Scanner) -> None:
    digest = scanner.own.content.push("acme/app", "it", created=START)
    scanner.own.fail(faults.headers({"Docker-Content-Digest": None}))
    (found,) = await candidates(scanner, ["it"])
    assert (found.created, found.digest) == (START, digest)


@pytest.mark.parametrize(
    "document",
    [
        *(b"", b"nonsense", b"[" * 100_000, b"[]", b"7", b'{"errors": [{"code": "DENIED"}]}'),
        *({"config": {"digest": "../../../x"}}, {"config": {"digest": "sha256:" + "0" * 64}}),
        *({"config": {"digest": 7}}, {"manifests": None}, {"manifests": [7, {"digest": None}]}),
        {"manifests": [{"digest": "sha256:" + "0" * 64, "platform": ["linux"]}]},
        {"manifests": [{"digest": "a/b", "platform": {"os": "linux", "architecture": "amd64"}}]},
    ],
)
async def test_a_manifest_that_makes_no_sense_spoils_its_own_tag_alone(
    scanner: Scanner, document: object
) -> None:
    (good,) = push(scanner, 1)
    if isinstance(document, dict):
        document = {"schemaVersion": 2} | document
    scanner.own.content.put("acme/app", "bad", document=document)
    with capture_logs() as logs:
        found = await candidates(scanner, ["bad", good])

    assert [one.created for one in found] == [None, START]
    assert [one["event"] for one in logs] == ["no creation time"]
    assert {one.path.split("?")[0].startswith("/v2/acme/app/") for one in scanner.own.asked} == {
        True
    }


@pytest.mark.parametrize("config", [b"nonsense", [], 7, {"config": []}, {"config": {"Labels": 7}}])
async def test_a_configuration_that_makes_no_sense_says_no_time(
    scanner: Scanner, config: object
) -> None:
    body = config if isinstance(config, bytes) else json.dumps(config).encode()
    address = f"sha256:{sha256(body).hexdigest()}"
    scanner.own.content.blobs[address] = body
    document = {"schemaVersion": 2, "config": {"digest": address}}
    scanner.own.content.put("acme/app", "it", document=document)
    assert await created(scanner) is None
    assert scanner.own.count(f"/blobs/{address}") == 1


async def test_something_else_than_an_image_has_no_time_and_is_not_asked_again(
    scanner: Scanner,
) -> None:
    scanner.own.content.put("acme/app", "it", document={"schemaVersion": 1, "history": []})
    for expected in (1, 1):
        assert await created(scanner) is None
        assert len(scanner.own.asked) == expected


@pytest.mark.parametrize("where", ["/manifests/", "/blobs/"])
async def test_another_document_than_its_digest_says_is_not_believed(
    scanner: Scanner, where: str
) -> None:
    scanner.own.content.push("acme/app", "it", created=START)
    wrong = {"Docker-Content-Digest": "sha256:" + "0" * 64}
    fault = faults.headers(wrong) if where == "/manifests/" else faults.says({"created": "now"})
    scanner.own.fail(fault, where=where)
    with capture_logs() as logs:
        assert await created(scanner) is None
    assert "has the digest sha256:" in logs[0]["reason"]


@pytest.mark.parametrize("status", [403, 404, 412])
async def test_what_was_refused_once_is_not_held_against_a_tag_for_good(
    scanner: Scanner, status: int
) -> None:
    push(scanner, 3)
    scanner.own.fail(faults.status(status), where="/manifests/", times=3)
    assert (await scan(scanner, "glob:*"))[1] == []
    assert (await scan(scanner, "glob:*"))[1] == ["main-00002"]


@pytest.mark.parametrize(("status", "more"), [(403, 0), (404, 3)])
async def test_a_refused_tag_is_left_alone_for_a_while_but_a_missing_one_is_looked_for(
    scanner: Scanner, status: int, more: int
) -> None:
    tags = push(scanner, 3)
    image = f"{scanner.own.host}/acme/app"
    scanner.own.fail(faults.status(status), where="/manifests/")
    async with scanner.reading() as registries:
        with capture_logs() as logs:
            await registries.candidates(image, tags, tags)
        scanner.own.asked.clear()
        await registries.candidates(image, tags, tags)

    assert [(one["event"], one["tags"]) for one in logs] == [("no creation time", 3)]
    assert len(scanner.own.asked) == more
