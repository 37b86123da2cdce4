"""Applying against an API server that is slow, busy, broken: one bad object spoils only itself."""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from services.cluster_applier.answers import Answer
from services.cluster_applier.apply import Applying, Asking
from services.cluster_applier.domain.inventory import Applied
from services.cluster_applier.domain.ledger import Ledger
from services.cluster_applier.domain.plan import Wanted
from services.cluster_applier.domain.refusal import is_final, sentence, webhook
from services.cluster_applier.kube import Kube
from services.cluster_applier.pace import pace
from services.cluster_applier.webhooks import Webhooks
from shared.bundle.chunks import digest_of
from shared.bundle.format import Bundle, Header
from shared.bundle.packing import Item, pack
from shared.manifests import ObjectId
from shared.runtime.errors import TemporaryError
from shared.runtime.tasks import cancelled
from tests.unit.cluster_applier.fakes import FakeApi, owned, serving

VERSION = (200, {"gitVersion": "v1"})


def bundle_of(names: Iterable[str]) -> Bundle:
    items = []
    for name in names:
        body = json.dumps({"name": name}).encode()
        named = ObjectId.parse(name)
        items.append(
            Item(id=named, version="v1", body=body, digest=digest_of(body), file="a.yaml", line=1)
        )
    header = Header(sync="apps", target="t", repository="r", url="u", revision="1")
    return pack(header, items)


def path(name: str) -> str:
    named = ObjectId.parse(name)
    return f"/{named.kind}/{named.name}"


def wanted(bundle: Bundle) -> list[Wanted]:
    return [
        Wanted(id=entry.object_id, entry=entry, path=path(entry.id)) for entry in bundle.objects
    ]


def applying(
    kube: Kube, bundle: Bundle, ledger: Ledger | None = None, known: Any = None, hung: Any = None
) -> Applying:
    async def still_ours() -> None:
        return

    async def gives(_name: str, _owner: str) -> bool:
        return False

    asking = Asking(answered=lambda *_, **__: None, still_ours=still_ours, gives=gives)
    return Applying(
        "apps",
        kube,
        ledger or Ledger(),
        bundle,
        known or {},
        asking=asking,
        webhooks=Webhooks(kube),
        hung=hung,
    )


def patched(api: FakeApi) -> list[str]:
    """Return what was applied, in order."""
    return [where for method, where in api.asked if method == "PATCH"]


def takes(api: FakeApi, bundle: Bundle) -> None:
    """Let the server take every object of *bundle*."""
    api.on("GET", "/version", VERSION)
    for one in wanted(bundle):
        api.on("PATCH", one.path, (201, {"metadata": owned(one.id.name)}))


async def hang(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


MAPS = [f"ConfigMap n/{n}" for n in range(6)]
SERVER_ERROR = (500, {"message": "etcd is in a mood"})


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_an_error_of_one_object_spoils_only_itself(tmp_path: Path, status: int) -> None:
    api, bundle = FakeApi(), bundle_of(MAPS)
    takes(api, bundle)
    api.on("PATCH", path(MAPS[2]), (status, {"message": "in a mood"}))
    known = {MAPS[2]: Applied(digest="before", uid="u", fields="f")}
    async with serving(api, tmp_path) as kube:
        round_ = applying(kube, bundle, known=known)
        await round_.apply(wanted(bundle), 2)

    assert [one.id for one in round_.results if one.action == "failed"] == [MAPS[2]]
    assert len(round_.results) == len(MAPS)
    assert (round_.failed, round_.unfinished) == (True, True)
    # It may have been applied or not: what was applied before is not certain any more.
    assert round_.applied[MAPS[2]] == Applied(digest="", uid="u", fields="f")


async def test_an_object_that_hangs_holds_no_other_and_no_later_stage(tmp_path: Path) -> None:
    names = [*MAPS, "apps/Deployment n/web"]
    api, bundle = FakeApi(), bundle_of(names)
    takes(api, bundle)
    api.on("PATCH", path(MAPS[0]), hang)
    async with serving(api, tmp_path, timeout=60.0) as kube:
        working = asyncio.create_task(applying(kube, bundle).apply(wanted(bundle), 1))
        await api.wait_asked("PATCH", path(names[-1]), 1)
        assert not working.done()
        await cancelled(working)


async def test_an_object_that_hangs_is_told_after_the_timeout(tmp_path: Path) -> None:
    api, bundle = FakeApi(), bundle_of(MAPS[:1])
    api.on("PATCH", path(MAPS[0]), hang)
    async with serving(api, tmp_path, timeout=0.5) as kube:
        api.on("GET", "/version", (200, {}))
        round_ = applying(kube, bundle)
        await round_.apply(wanted(bundle), 1)
    (failed,) = round_.results
    assert (failed.action, failed.message) == ("failed", "no answer within 0.5 s")


def hangs(name: str) -> tuple[int, Any]:
    """Return what the server answers when a webhook did not."""
    said = f'Internal error occurred: failed calling webhook "{name}": context deadline exceeded'
    return 500, {"message": said}


async def test_a_webhook_that_hangs_is_met_once_and_in_the_next_round_for_all_kinds_once(
    tmp_path: Path,
) -> None:
    kinds = ("Secret", "ServiceAccount", "apps/Deployment")
    names = [*(f"{kind} n/{n}" for kind in kinds for n in range(300)), *MAPS]
    api, bundle = FakeApi(), bundle_of(names)
    takes(api, bundle)
    for name in names[: -len(MAPS)]:
        api.on("PATCH", path(name), hangs("h.example.com"))
    async with serving(api, tmp_path) as kube:
        first = applying(kube, bundle)
        await first.apply(wanted(bundle), 16)
        again, asked = applying(kube, bundle, hung=first.turns.hung), len(patched(api))
        await again.apply(wanted(bundle), 16)
        for name in names:
            api.on("PATCH", path(name), (201, {"metadata": owned("x")}))
        last = applying(kube, bundle, hung=again.turns.hung)
        await last.apply(wanted(bundle), 16)

    assert asked == len(MAPS) + len(kinds)
    assert [one.action for one in first.results].count("created") == len(MAPS)
    assert len(first.held) + len(first.results) == len(names)
    held = "not tried: the webhook h.example.com does not answer"
    assert first.held[0].message == f"{held}; which objects it selects can't be told: not found"
    assert [one.action for one in again.results].count("failed") == 1
    assert (first.unfinished, again.unfinished, last.unfinished) == (True, True, False)
    assert [one.action for one in last.results] == ["created"] * len(names)


async def test_of_those_that_are_slow_no_more_are_sent_than_were_on_their_way(
    tmp_path: Path,
) -> None:
    names = [f"Secret n/{n}" for n in range(60)]
    api, bundle = FakeApi(), bundle_of(names)
    takes(api, bundle)
    under_way, most = 0, 0

    async def slow(_: web.Request) -> web.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(1.5)
        under_way -= 1
        return web.json_response(hangs("h.example.com")[1], status=500)

    for name in names[1:]:  # the first is not asked about
        api.on("PATCH", path(name), slow)
    async with serving(api, tmp_path) as kube:
        await applying(kube, bundle).apply(wanted(bundle), 8)

    assert most == 8
    assert len(patched(api)) == 1 + 8


async def test_drift_of_many_does_not_meet_a_webhook_that_hangs_many_times(tmp_path: Path) -> None:
    names = [f"Secret n/{n}" for n in range(300)]
    api, bundle, release = FakeApi(), bundle_of(names), asyncio.Event()
    takes(api, bundle)

    async def hung(_: web.Request) -> web.Response:
        await release.wait()
        return web.json_response(hangs("h.example.com")[1], status=500)

    for name in names:
        api.on("PATCH", path(name), hung)
    todo = wanted(bundle)
    async with serving(api, tmp_path) as kube:
        round_ = applying(kube, bundle)
        working = asyncio.create_task(round_.apply(todo[:1], 16, unchanged=todo))
        await api.wait_asked("PATCH", path(names[0]), 1)
        assert all(round_.correct(name) for name in names[1:])
        await api.wait_asked("PATCH", path(names[1]), 1)
        release.set()
        await working

    assert patched(api) == [path(name) for name in names[:2]]
    assert len(round_.held) == len(names) - 2


async def test_drift_of_many_is_put_back_while_others_of_their_kind_hang(tmp_path: Path) -> None:
    names = [f"Secret n/{n}" for n in range(100)]
    api, bundle = FakeApi(), bundle_of(names)
    takes(api, bundle)
    todo = wanted(bundle)
    api.on("PATCH", path(names[0]), hang)
    async with serving(api, tmp_path, timeout=60.0) as kube:
        round_ = applying(kube, bundle)
        working = asyncio.create_task(round_.apply(todo[:1], 1, unchanged=todo))
        await api.wait_asked("PATCH", path(names[0]), 1)
        assert all(round_.correct(name) for name in names[1:])
        await api.wait_asked("PATCH", path(names[-1]), 1)
        assert not working.done()
        await cancelled(working)


async def test_a_busy_server_is_asked_again_when_it_said_so(tmp_path: Path) -> None:
    api, bundle = FakeApi(), bundle_of(MAPS[:1])
    takes(api, bundle)
    at: list[float] = []

    async def busy(_: web.Request) -> web.Response:
        at.append(asyncio.get_running_loop().time())
        if len(at) == 1:
            return web.json_response({"message": "busy"}, status=429, headers={"Retry-After": "1"})
        return web.json_response({"metadata": owned("0")}, status=201)

    api.on("PATCH", path(MAPS[0]), busy)
    async with serving(api, tmp_path) as kube:
        round_ = applying(kube, bundle)
        await round_.apply(wanted(bundle), 1)

    assert [one.action for one in round_.results] == ["created"]
    assert at[1] - at[0] >= 0.99


async def test_a_cluster_that_is_away_is_one_outage_and_what_was_done_is_known(
    tmp_path: Path,
) -> None:
    api, bundle = FakeApi(), bundle_of(MAPS)
    takes(api, bundle)

    async def away(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    for name in MAPS[2:]:
        api.on("PATCH", path(name), away)
    known = {name: Applied(digest="before", uid="u") for name in MAPS}
    async with serving(api, tmp_path) as kube:
        round_ = applying(kube, bundle, known=known)
        with pytest.raises(TemporaryError, match="cluster default"):
            await round_.apply(wanted(bundle), 1)

    digests = [round_.applied[name].digest for name in MAPS[:3]]
    assert digests == [*(entry.digest for entry in bundle.objects[:2]), ""]


async def test_errors_of_all_objects_of_a_server_that_is_not_alive_are_its_own(
    tmp_path: Path,
) -> None:
    api, bundle = FakeApi(), bundle_of(MAPS)
    takes(api, bundle)
    api.on("PATCH", path(MAPS[0]), (503, {"message": "apiserver is shutting down"}))
    api.on("GET", "/version", (503, {"message": "apiserver is shutting down"}))
    async with serving(api, tmp_path) as kube:
        with pytest.raises(TemporaryError, match="shutting down"):
            await applying(kube, bundle).apply(wanted(bundle), 1)


@pytest.mark.parametrize(
    "body", ["", b"\xff", [], b"[" * 100_000, {"kind": "Status"}, {"metadata": {"name": "a"}}]
)
async def test_an_answer_that_means_nothing_spoils_only_its_object(
    tmp_path: Path, body: Any
) -> None:
    api, bundle = FakeApi(), bundle_of(MAPS[:2])
    takes(api, bundle)

    async def garbage(_: web.Request) -> web.Response:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(body=data)

    api.on("PATCH", path(MAPS[0]), garbage)
    async with serving(api, tmp_path) as kube:
        round_ = applying(kube, bundle)
        await round_.apply(wanted(bundle), 2)

    assert sorted(one.action for one in round_.results) == ["created", "failed"]


@pytest.mark.parametrize("status", [404, 409, 422])
@pytest.mark.parametrize("details", ["no", ["no"], {"causes": "no"}, {"causes": ["no"]}])
async def test_a_refusal_that_is_not_the_servers_own_spoils_only_its_object(
    tmp_path: Path, status: int, details: Any
) -> None:
    """Whoever stands between us says it in a form of his own."""
    names = ["Secret n/s", MAPS[0]]
    api, bundle = FakeApi(), bundle_of(names)
    takes(api, bundle)
    api.on("PATCH", path(names[0]), (status, {"message": "not here", "details": details}))
    async with serving(api, tmp_path) as kube:
        round_ = applying(kube, bundle)
        await round_.apply(wanted(bundle), 2)

    assert sorted(one.action for one in round_.results) == ["created", "failed"]


async def test_drift_of_another_object_is_put_back_while_a_large_apply_goes_on(
    tmp_path: Path,
) -> None:
    api, bundle = FakeApi(), bundle_of([*MAPS, "ConfigMap n/drifts"])
    takes(api, bundle)
    api.on("PATCH", path(MAPS[0]), hang)
    todo = wanted(bundle)
    async with serving(api, tmp_path, timeout=60.0) as kube:
        round_ = applying(kube, bundle)
        assert not round_.correct("ConfigMap n/drifts")
        working = asyncio.create_task(round_.apply(todo[:-1], 1, unchanged=todo))
        await api.wait_asked("PATCH", path(MAPS[0]), 1)
        assert round_.correct("ConfigMap n/drifts")
        await api.wait_asked("PATCH", path("ConfigMap n/drifts"), 1)
        assert not working.done()
        await cancelled(working)


async def test_what_becomes_due_goes_while_others_hang() -> None:
    last, waiting = asyncio.Event(), ["second", "last"]

    async def work(item: str) -> None:
        if item == "hangs":
            await last.wait()
        if item == "last":
            last.set()

    def more() -> list[str]:
        return [waiting.pop(0)] if waiting else []

    async with asyncio.timeout(5), pace(4, name="round") as slots:
        await slots.each(["hangs", "first"], work, more=more)
    assert last.is_set()


async def test_what_comes_when_a_round_has_just_ended_is_left_to_the_next() -> None:
    async def work() -> None:
        raise AssertionError

    async with pace(1, name="round") as slots:
        pass
    assert not slots.at_once(work())


SECRET = ObjectId.parse("Secret n/s")


def test_a_refused_secret_shows_no_value() -> None:
    said = "failed to create typed patch object (n/s): .data.k: expected string, got hunter2"
    body = {"details": {"causes": [{"field": "data.k", "reason": "FieldValueInvalid"}]}}
    for found in (body, {}, None, "hunter2"):
        assert "hunter2" not in sentence(500, said, found, named=SECRET, secret=True)
    assert "data.k (FieldValueInvalid)" in sentence(422, said, body, named=SECRET, secret=True)
    assert sentence(500, said, body, named=SECRET, secret=False) == said
    denied = 'admission webhook "a.example.com" denied the request: hunter2 is too short'
    assert sentence(403, denied, {}, named=SECRET, secret=False) == denied
    assert "hunter2" not in sentence(403, denied, {}, named=SECRET, secret=True)
    assert 'webhook "a.example.com" denied' in sentence(403, denied, {}, named=SECRET, secret=True)


def test_what_admission_refuses_is_no_doubt_about_who_we_are() -> None:
    refused = 'admission webhook "a.example.com" denied the request: no'
    assert not Answer(status=401, body={"message": refused}).unknown
    assert Answer(status=401, body={"message": "Unauthorized"}).unknown


def test_a_webhook_that_could_not_be_asked_is_known_by_what_the_server_says() -> None:
    assert webhook(hangs("h.example.com")[1]["message"]) == "h.example.com"
    converting = "conversion webhook for example.com/v2, Kind=Widget failed: "
    unreachable = f'{converting}Post "https://w.n.svc:443/convert?timeout=30s": EOF'
    assert webhook(unreachable) == "for conversion of example.com/v2, Kind=Widget"
    assert not webhook(f"{converting}no such size"), "others may be converted"
    assert not webhook('admission webhook "a.example.com" denied the request')


def test_only_what_a_change_of_the_object_alone_can_help_is_final() -> None:
    by_policy = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"
    assert not is_final(422, f'secrets "s" is forbidden: {by_policy}')
    assert is_final(422, "spec.selector: field is immutable")
    assert is_final(500, "failed to create typed patch object")
    assert is_final(
        500, "unable to convert unstructured object to /v1, Kind=Secret: illegal base64"
    )
    assert not is_final(400, 'admission webhook "x" denied the request')
    assert not is_final(403, "forbidden")
    assert not is_final(500, "etcd")
