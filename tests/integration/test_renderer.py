"""The renderer as a process: what programs get, what is taken of them, and how they end."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from services.renderer.programs import cage
from shared.config.secrets import SecretRef
from shared.rendering.client import FailedError, HttpRenderer
from shared.rendering.protocol import LARGEST_OUTPUT, PATH, Done, Order, Run
from shared.runtime.errors import TemporaryError
from tests.integration.renderer_stage import SEEN, Process, packed, renderer

FILES = {"staging/a.txt": "one\n", "base/b.txt": "two\n"}


@pytest.fixture(scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    async with renderer(tmp_path_factory.mktemp("renderer")) as found:
        yield found


@pytest.fixture(scope="module")
async def uncaged(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    """As where the system does not let a process cut itself off."""
    async with renderer(tmp_path_factory.mktemp("uncaged"), network=True) as found:
        yield found


@pytest.fixture(params=["place", "uncaged"])
def either(request: pytest.FixtureRequest) -> Process:
    found: Process = request.getfixturevalue(request.param)
    return found


async def run(
    place: Process,
    *commands: str,
    files: Mapping[str, str] = FILES,
    timeout: float = 20.0,
    environment: dict[str, str] | None = None,
    changes: bool = False,
    folder: str = "staging",
) -> Done:
    runs = tuple(Run(command=one, timeout=timeout, environment=environment) for one in commands)
    order = Order(folder=folder, runs=runs, changes=changes)
    return await place.client.run(order, packed(files))


async def test_commands_run_in_their_folder_of_the_tree_and_print(place: Process) -> None:
    done = await run(place, "cat a.txt ../base/b.txt", "basename $PWD; echo kept > ../base/b.txt")
    assert done.outputs == (b"one\ntwo\n", b"staging\n")


async def test_generators_see_what_the_owner_passes_on_and_updaters_their_own(
    place: Process,
) -> None:
    show = f'echo "${SEEN}, $HIDDEN, $FLUX_TAG, ${{HOME##*/}}"'
    assert (await run(place, show)).outputs == (b"yes, , , home\n",)
    done = await run(place, show, environment={"FLUX_TAG": "1.2"})
    assert done.outputs == (b", , 1.2, home\n",)


async def test_a_failing_command_is_told_with_its_number_and_its_last_words(
    place: Process,
) -> None:
    with pytest.raises(FailedError, match=r"ended with 3: no such chart") as caught:
        await run(place, "true", "echo no such chart >&2; exit 3", "touch never")
    assert caught.value.number == 2


async def test_a_hanging_command_is_killed_with_its_children(either: Process) -> None:
    name = f"sleep-{os.getpid()}"
    start = time.monotonic()
    with pytest.raises(FailedError, match="no end after 1 s"):
        await run(either, f"cp $(command -v sleep) {name}; ./{name} 60 & ./{name} 61", timeout=1.0)
    assert time.monotonic() - start < 10
    assert await nothing_runs(name)


async def test_children_left_behind_end_with_their_command(either: Process) -> None:
    name = f"left-{os.getpid()}"
    start = time.monotonic()
    done = await run(
        either, f"cp $(command -v sleep) {name}; ./{name} 60 & echo done", timeout=20.0
    )
    assert done.outputs == (b"done\n",)
    assert time.monotonic() - start < 10
    assert await nothing_runs(name)


@pytest.mark.skipif(not cage(), reason="the system lets nobody cut off a process")
async def test_where_the_system_lets_us_a_command_has_no_network_and_can_not_escape(
    place: Process,
) -> None:
    name = f"escaped-{os.getpid()}"
    flee = f"cp $(command -v sleep) {name}; setsid ./{name} 60 >/dev/null 2>&1 & sleep 0.1"
    done = await run(place, flee, "grep -c : /proc/net/dev")
    assert done.outputs[1] == b"1\n"  # loopback, which is down
    assert await nothing_runs(name)


async def nothing_runs(name: str) -> bool:
    """Tell whether no process of that *name* is left within a second."""
    for _ in range(20):
        if not any(name in command for command in _commands()):
            return True
        await asyncio.sleep(0.05)
    return False


def _commands() -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            yield (process / "cmdline").read_bytes().decode(errors="replace")


async def test_what_prints_without_end_is_stopped(place: Process) -> None:
    with pytest.raises(FailedError, match=f"prints more than {LARGEST_OUTPUT // 2**20} MB"):
        await run(place, "yes")


async def test_what_is_changed_in_the_tree_comes_back_and_nothing_else(place: Process) -> None:
    done = await run(
        place,
        "echo 1 > a.txt; rm ../base/b.txt; mkdir new; echo 2 > new/c.txt; touch ../../outside",
        'echo "$FLUX_TAG" >> a.txt; echo x > "$HOME/y"',
        environment={"FLUX_TAG": "1.2"},
        changes=True,
    )
    assert done.changed == {
        "staging/a.txt": b"1\n1.2\n",
        "base/b.txt": None,
        "staging/new/c.txt": b"2\n",
    }
    assert [*place.temporary.iterdir()] == []


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("ln -s /etc/passwd leak", "changes staging/leak, which is no plain file"),
        ("rm a.txt; ln -s /etc/passwd a.txt", "changes staging/a.txt, which is no plain file"),
        ("mkfifo pipe", "changes staging/pipe, which is no plain file"),
        ("mkdir .git; echo x > .git/config", "makes staging/.git/config, which git takes for its"),
        ("head -c 9000000 /dev/zero > big", "changes more than 8 MB, staging/big among it"),
    ],
)
async def test_what_can_not_be_a_commit_is_refused(
    place: Process, command: str, reason: str
) -> None:
    with pytest.raises(FailedError, match=reason):
        await run(place, command, changes=True)


async def test_a_folder_that_is_not_there_or_leads_out_is_told(place: Process) -> None:
    for folder in ("nowhere", "../..", "/etc"):
        with pytest.raises(FailedError, match=f"there is no folder '{folder}'"):
            await run(place, "true", folder=folder)


async def test_only_who_has_the_token_runs_anything(place: Process) -> None:
    other = place.directory / "other"
    other.write_text("guessed")
    stranger = HttpRenderer(place.settings.model_copy(update={"token": SecretRef(file=other)}))
    with pytest.raises(TemporaryError, match=r"it refuses our token; renderer\.token must"):
        await stranger.run(Order(runs=()), packed({}))
    async with (
        aiohttp.ClientSession() as session,
        session.post(place.settings.url + PATH, data=b"x") as answer,
    ):
        assert answer.status == 401


async def test_a_renderer_that_is_killed_is_a_dependency_that_is_down(tmp_path: Path) -> None:
    async with renderer(tmp_path) as place:
        async with asyncio.TaskGroup() as group:
            under_way = group.create_task(_down(place))
            await asyncio.sleep(0.5)
            await place.kill()
        assert under_way.result().startswith("renderer: http://127.0.0.1:")
        assert (await _down(place)).startswith("renderer: ")
        await place.start()
        assert (await run(place, "echo back")).outputs == (b"back\n",)


async def _down(place: Process) -> str:
    with pytest.raises(TemporaryError) as caught:
        await run(place, "sleep 20")
    return str(caught.value)
