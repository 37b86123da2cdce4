"""Files that SOPS has encrypted: decrypted by the real sops, applied to the real control plane."""

import base64
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sandbox import process
from sandbox.cluster import Cluster
from sandbox.progress import silent
from sandbox.sops import Keys
from sandbox.sops import keys as make_keys
from shared.config.target import Decryption
from shared.contract import DiffMade, DiffQuestion, Draft, SuspendRequested, SyncHeld, SyncRequested
from tests.integration.applier_stage import Stage, applies, config_map, staged

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

CANARY = "canary-5c1d9e"
SECRET = f"---\napiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{p: {CANARY}}}\n"


@pytest.fixture(scope="module")
async def keys(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Keys]:
    async with make_keys(tmp_path_factory.mktemp("k"), say=silent) as found:
        yield found


@pytest.fixture(autouse=True)
def _path(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{keys.programs}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
async def stage(place: Cluster, keys: Keys, tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage with both keys; at its end no message of all may hold a value."""
    async with staged(place, tmp_path) as found:
        give_keys(found, age=keys.age_file, openpgp=keys.openpgp_file)
        yield found
        everything = "".join(one.model_dump_json() for one in found.told)
        assert CANARY not in everything
        assert base64.b64encode(CANARY.encode()).decode() not in everything


@pytest.fixture(autouse=True)
def _no_log(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    assert CANARY not in "".join(capfd.readouterr())


def give_keys(stage: Stage, **keys: Path) -> None:
    decryption = Decryption.model_validate({name: {"file": file} for name, file in keys.items()})
    (target,) = stage.config.targets
    targets = (target.model_copy(update={"decryption": decryption}),)
    stage.config = stage.config.model_copy(update={"targets": targets})


async def value(stage: Stage, name: str = "s") -> str | None:
    found = await stage.kube.get("Secret", name, stage.namespace)
    return found and base64.b64decode(found["data"]["p"]).decode()


async def again(stage: Stage) -> None:
    await stage.bus.publish(Draft(message=SyncRequested(sync="apps", reason="person")))


async def test_a_file_of_two_documents_is_decrypted_once_and_what_changes_is_applied(
    stage: Stage, keys: Keys
) -> None:
    text = await keys.encrypted(SECRET + config_map("c", k=CANARY), "--age", keys.age)
    assert CANARY not in text
    plain = config_map("a", k="1") + config_map("b", k="1")
    async with stage.applying():
        await stage.declare(config_map("z", k="1") + plain, files={"e.yaml": text})
        done = await stage.completed()
        assert (done.counts, done.problems) == ({"created": 5}, ())
        assert await value(stage) == CANARY
        assert await stage.data("c") == {"k": CANARY}

        before = applies()
        await stage.declare(config_map("z", k="2") + plain, files={"e.yaml": text})
        assert (await stage.completed()).counts == {"configured": 1, "unchanged": 4}
        assert applies() == before + 1

        await stage.kube.merge("ConfigMap", "c", {"data": {"k": "x"}}, stage.namespace)
        await stage.wait_data("c", {"k": CANARY})

        other = await keys.rotated(text)
        await stage.declare(config_map("z", k="2") + plain, files={"e.yaml": other})
        assert (await stage.completed()).counts == {"configured": 2, "unchanged": 3}
        await stage.declare(config_map("z", k="2") + plain)
        assert (await stage.completed()).counts == {"deleted": 2, "unchanged": 3}


async def test_openpgp_and_json_are_opened_and_neither_a_restart_nor_a_lost_inventory_hurts(
    stage: Stage, keys: Keys
) -> None:
    rules = ("--pgp", keys.openpgp, "--encrypted-regex", "^(data|stringData)$")
    text = await keys.encrypted(SECRET, *rules)
    assert "kind: Secret" in text
    value_ = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "j"}}
    as_json = ("--age", keys.age, "--input-type", "json", "--output-type", "json")
    json_ = await keys.encrypted(json.dumps({**value_, "data": {"k": CANARY}}), *as_json)
    assert json_.startswith("{")
    async with stage.applying():
        await stage.declare("", files={"e.yaml": text, "j.yaml": json_})
        assert (await stage.completed()).problems == ()
        assert await value(stage) == CANARY
        assert await stage.data("j") == {"k": CANARY}
    before = applies()
    async with stage.applying():
        await again(stage)
        assert (await stage.completed()).counts == {"unchanged": 2}
    assert applies() == before

    await stage.kube.delete("ConfigMap", "flux-inventory-apps", f"{stage.namespace}-flux")
    async with stage.applying():
        await stage.declare("", files={"e.yaml": text})
        done = await stage.completed()
        assert done.counts == {"configured": 1, "skipped": 2}  # the lost one, and why it was
        assert done.prune_held == 1
        assert await stage.data("j") == {"k": CANARY}


async def test_a_file_that_was_changed_by_hand_is_a_problem_and_nothing_goes_meanwhile(
    stage: Stage, keys: Keys
) -> None:
    rules = ("--age", keys.age, "--encrypted-regex", "^stringData$")
    good = await keys.encrypted(SECRET, *rules)
    bad = (await keys.encrypted(SECRET.replace("name: s", "name: t"), *rules)).replace(
        "name: t", "name: u"
    )
    async with stage.applying():
        await stage.declare(config_map("gone", k="1") + config_map("a", k="1"))
        await stage.completed()
        await stage.declare(config_map("a", k="1"), files={"bad.yaml": bad, "good.yaml": good})
        done = await stage.completed()
        (problem,) = done.problems
        assert problem.file == "bad.yaml"
        assert "its MAC does not fit" in problem.message
        assert done.counts == {"created": 1, "unchanged": 1, "failed": 1}
        assert not done.pruned
        assert "could not be read" in done.prune_reason
        assert await value(stage) == CANARY
        assert await stage.data("gone")

        await stage.declare(config_map("a", k="1"), files={"good.yaml": good})
        done = await stage.completed()
        assert (done.counts, done.problems) == ({"deleted": 1, "unchanged": 2}, ())


async def test_a_missing_key_is_told_with_who_could_open_it_until_it_is_there(
    stage: Stage, keys: Keys, tmp_path: Path
) -> None:
    text = await keys.encrypted(SECRET, "--age", keys.age)
    key = tmp_path / "later.key"
    await process.run([keys.programs / "age-keygen", "-o", key])
    other_key = key.read_text().splitlines()[-1]
    give_keys(stage, age=key)
    async with stage.applying():
        await stage.declare(config_map("a", k="1"), files={"e.yaml": text})
        done = await stage.completed()
        (problem,) = done.problems
        assert done.counts == {"created": 1, "failed": 1}
        assert f"it is encrypted to {keys.age}" in problem.message
        assert "targets[].decryption" in problem.message
        assert other_key not in problem.message

        key.write_text(keys.age_file.read_text())
        await again(stage)
        done = await stage.completed()
        assert (done.counts, done.problems) == ({"created": 1, "unchanged": 1}, ())
        assert await value(stage) == CANARY


async def test_without_sops_only_encrypted_files_fail(
    stage: Stage, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = await keys.encrypted(SECRET, "--age", keys.age)
    give_keys(stage, age=keys.age_file)
    monkeypatch.setenv("PATH", "/nowhere")
    async with stage.applying():
        await stage.declare(config_map("a", k="1"), files={"e.yaml": text})
        done = await stage.completed()
        assert done.counts == {"created": 1, "failed": 1}
        assert "sops is not installed" in done.problems[0].message


async def test_what_the_api_server_says_of_a_refused_object_is_cut_down_to_fields(
    stage: Stage, keys: Keys
) -> None:
    service = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: svc}\n"
        f"spec: {{type: {CANARY}, ports: [{{port: 80}}]}}\n"
    )
    text = await keys.encrypted(service, "--age", keys.age)
    async with stage.applying():
        await stage.declare("", files={"e.yaml": text})
        (problem,) = (await stage.completed()).problems
        assert (problem.file, problem.line) == ("e.yaml", 1)
        assert "spec.type (FieldValueNotSupported)" in problem.message
        made = await stage.bus.ask(DiffQuestion(sync="apps"), timeout=20)
        assert "spec.type" in made.model_dump_json()
        assert CANARY not in made.model_dump_json()


async def test_a_comparison_shows_no_value_that_was_ever_encrypted(
    stage: Stage, keys: Keys
) -> None:
    old = config_map("c", same="hunter1", gone="hunter2", other="hunter3")
    text = await keys.encrypted(SECRET + old, "--age", keys.age)
    new = old.replace("hunter3", "hunter4").replace("gone", "new")
    async with stage.applying():
        await stage.declare("", files={"e.yaml": text})
        await stage.completed()
        await stage.bus.publish(Draft(message=SuspendRequested(sync="apps")))
        await stage.wait(SyncHeld)
        encrypted = await keys.encrypted(SECRET + new, "--age", keys.age)
        for files in ({"e.yaml": encrypted}, {"e.yaml": new}):
            await stage.declare("", files=files)
            made = await stage.bus.ask(DiffQuestion(sync="apps"), timeout=20)
            assert isinstance(made, DiffMade)
            found = {one.id.rpartition("/")[2]: one for one in made.objects}
            changed = found["c"].text
            assert "   same: '***'" in changed
            assert "-  other: '*** (before)'" in changed
            assert "+  other: '*** (after)'" in changed
            assert "+  new: '*** (after)'" in changed
            assert "hunter" not in made.model_dump_json()
            assert CANARY not in made.model_dump_json()
