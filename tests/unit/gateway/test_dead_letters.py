"""Dead letters are told, listed with their reasons, replayed to their own queue, and dropped."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import yaml
from prometheus_client import REGISTRY

from services.gateway.alarm import Alarm
from services.gateway.dead_letters import PATH
from shared.bus.names import DEAD
from shared.bus.port import Outcome
from shared.bus.transport import Packet
from shared.contract import Draft, Envelope, PollRequested
from shared.runtime.errors import PermanentError, TemporaryError
from tests.unit.fluxctl.gateway import run
from tests.unit.gateway.stage import Stage, a_stage

LETTERS = f"../..{PATH}"


class Watcher:
    """A git-watcher that refuses everything until it is able."""

    def __init__(self) -> None:
        self.able = False
        self.done: list[Envelope] = []

    async def __call__(self, _: str, messages: Sequence[Envelope]) -> Outcome:
        if not self.able:
            raise PermanentError("no sync reads it")
        self.done += messages
        return Outcome()


@asynccontextmanager
async def dying(*repositories: str) -> AsyncIterator[tuple[Stage, Watcher]]:
    watcher, stop = Watcher(), asyncio.Event()
    async with a_stage(alive=[]) as stage, asyncio.TaskGroup() as group:
        group.create_task(stage.others.worker("git-watcher", watcher)(stop))
        await stage.bus.publish(
            *(Draft(message=PollRequested(repository=name)) for name in repositories)
        )
        await wait_letters(stage, len(repositories))
        yield stage, watcher
        stop.set()


async def wait_letters(stage: Stage, count: int) -> list[dict]:
    async with asyncio.timeout(30):
        while len((await stage.send("GET", LETTERS))[1]) != count:
            await asyncio.sleep(0.01)
    return (await stage.send("GET", LETTERS))[1]


async def test_a_letter_tells_what_it_is_and_why_it_died() -> None:
    async with dying("a#main") as (stage, _):
        (letter,) = await wait_letters(stage, 1)
    assert letter["type"] == "poll.requested.v1"
    assert letter["subject"] == "a#main"
    assert letter["reason"] == "no sync reads it"
    assert letter["queue"].startswith("git-watcher.")
    assert letter["data"]["repository"] == "a#main"
    assert "PermanentError" in letter["trace"]


async def test_filters_must_all_fit() -> None:
    async with dying("a#main", "b#main") as (stage, _):
        for query, count in (
            ("?subject=a%23main", 1),
            ("?type=poll.requested.v1&reason=no%20sync", 2),
            ("?type=poll.requested.v1&subject=c", 0),
            ("?reason=else", 0),
        ):
            assert len((await stage.send("GET", LETTERS + query))[1]) == count, query
        assert (await stage.send("GET", f"{LETTERS}?colour=red"))[0] == 400


async def test_a_replayed_letter_is_worked_on_again() -> None:
    async with dying("a#main", "b#main") as (stage, watcher):
        watcher.able = True
        status, done = await stage.send("POST", f"{LETTERS}/replay?subject=a%23main")
        assert (status, [one["subject"] for one in done]) == (200, ["a#main"])
        (left,) = await wait_letters(stage, 1)
        async with asyncio.timeout(30):
            while not watcher.done:
                await asyncio.sleep(0.01)
    assert left["subject"] == "b#main"
    assert [one.subject for one in watcher.done] == ["a#main"]


async def test_nothing_is_emptied_by_a_slip() -> None:
    async with dying("a#main", "b#main") as (stage, _):
        assert (await stage.send("POST", f"{LETTERS}/drop"))[0] == 400
        await wait_letters(stage, 2)
        assert len((await stage.send("POST", f"{LETTERS}/drop?all=true"))[1]) == 2
        await wait_letters(stage, 0)


async def fluxctl(*arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fluxctl", "dead-letters", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_fluxctl_lists_shows_and_drops() -> None:
    async with dying("a#main", "b#main") as (stage, _):
        url = ("--url", stage.url)
        letters = await wait_letters(stage, 2)
        first = next(one["id"] for one in letters if one["subject"] == "a#main")
        code, listed, _ = await fluxctl(*url)
        assert code == 0
        assert listed.startswith("ID ")
        assert listed.count("no sync reads it") == 2
        code, shown, _ = await fluxctl("show", first, *url)
        assert "reason:   no sync reads it" in shown
        assert '"repository": "a#main"' in shown
        code, _, refused = await fluxctl("drop", *url)
        assert (code, "--all" in refused) == (1, True)
        code, _, told = await fluxctl("drop", first, *url)
        assert (code, told) == (0, "1 dead letter(s) dropped.\n")
        (left,) = await wait_letters(stage, 1)
    assert left["subject"] == "b#main"


async def test_fluxctl_tells_what_could_not_be_replayed() -> None:
    async with a_stage(alive=[]) as stage:
        letter = {"flux-letter": "one", "flux-queue": "git-watcher.99"}
        stage.broker.route(Packet(exchange=DEAD, key="x", id="x", headers=letter, body=b"{}"))
        code, _, told = await fluxctl("replay", "one", "--url", stage.url)
        assert (code, told.splitlines()[0]) == (1, "0 dead letter(s) replayed.")
        assert "1 stay:\none: there is no queue 'git-watcher.99'" in told
        await wait_letters(stage, 1)


async def test_who_uses_fluxctl_is_told_that_there_are_dead_letters() -> None:
    async with dying("a#main", "b#main") as (stage, _):
        await wait_letters(stage, 2)
        async with asyncio.timeout(30):
            while (told := await ping(stage)) != "2":
                await asyncio.sleep(0.01)
        shown = await run("--url", stage.url, "list-workloads", "-a")
        assert (shown.code, shown.err.splitlines()[-1]) == (
            0,
            "2 dead letter(s): messages that nobody could work on; see 'fluxctl dead-letters'",
        )
        await stage.send("POST", f"{LETTERS}/drop?all=true")
        async with asyncio.timeout(30):
            while (told := await ping(stage)) is not None:
                await asyncio.sleep(0.01)
        shown = await run("--url", stage.url, "list-workloads", "-a")
    assert (shown.code, "dead letter" in shown.err, told) == (0, False, None)


async def ping(stage: Stage) -> str | None:
    async with stage.session.get(f"{stage.url}/v11/ping") as answer:
        return answer.headers.get("Flux-Dead-Letters")


class Depths:
    """A broker whose dead letters are so many at each look; once it is away."""

    def __init__(self, *counts: int | None) -> None:
        self._counts = list(counts)
        self.ended = asyncio.Event()

    async def depth(self, queue: str) -> int:
        assert queue == "flux.dead"
        if not self._counts:
            self.ended.set()
            return 0
        count = self._counts.pop(0)
        if count is None:
            raise TemporaryError("broker", "away")
        return count


async def test_the_first_dead_letter_is_an_error_in_the_log_and_the_end_of_them_is_told() -> None:
    depths, stop = Depths(0, 3, 4, None, 4, 0, 0, 1), asyncio.Event()
    with structlog.testing.capture_logs() as logs:
        async with asyncio.TaskGroup() as group:
            group.create_task(Alarm(depths, look=0.0).run(stop))
            await depths.ended.wait()
            stop.set()
    assert [(one["log_level"], one["event"], one.get("count")) for one in logs][:3] == [
        ("error", "dead letters", 3),
        ("info", "no dead letters any more", None),
        ("error", "dead letters", 1),
    ]


async def test_metrics_tell_how_many_there_are() -> None:
    async with dying("a#main", "b#main"), asyncio.timeout(30):
        while REGISTRY.get_sample_value("flux_dead_letters") != 2:
            await asyncio.sleep(0.01)


def test_alerts_are_about_metrics_that_there_are() -> None:
    text = (Path(__file__).parents[3] / "docs/alerts.yaml").read_text()
    rules = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    named = {name for rule in rules for name in re.findall(r"flux_\w+", rule["expr"])}
    known = {sample.name for metric in REGISTRY.collect() for sample in metric.samples}
    known |= {metric.name for metric in REGISTRY.collect() if metric.type == "gauge"}
    known |= {f"{metric.name}_total" for metric in REGISTRY.collect() if metric.type == "counter"}
    assert named
    assert named <= known
