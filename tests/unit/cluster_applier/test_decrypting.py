"""What encrypted files declare joins the rest; what can't be read spoils only itself."""

import asyncio
import json
from collections.abc import Mapping

import pytest

from services.cluster_applier.decrypting import AT_ONCE, ENOUGH, Decrypting, Opened
from services.cluster_applier.domain.comparing import difference
from services.cluster_applier.siblings import Siblings
from shared.bundle import store
from shared.bundle.format import Bundle, Header
from shared.bundle.packing import Piece, pack
from shared.bundle.render import read
from shared.bundle.store import Shelf
from shared.bus.memory import MemoryBroker
from shared.manifests import ObjectId
from shared.runtime.errors import PermanentError, TemporaryError


class FakeSops:
    """Decrypts by a table, and counts."""

    def __init__(self, **texts: str | Exception) -> None:
        self.texts = {name.encode(): one for name, one in texts.items()}
        self.asked: list[str] = []

    async def __call__(self, data: bytes) -> bytes:
        self.asked.append(data.decode())
        await asyncio.sleep(0)
        found = self.texts[data]
        if isinstance(found, Exception):
            raise found
        return found.encode()


def config_map(name: str, value: str = "canary") -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{k: {value}}}\n"


def bundle(*files: str, plain: str = "", revision: str = "1", sync: str = "apps") -> Bundle:
    """Return a bundle of *plain* and of files whose bytes are their names."""
    header = Header(
        sync=sync, target="default", repository="r", url="u", revision=revision, mark_set="m"
    )
    items = read("plain.yaml", plain.encode(), default_namespace="default", mark_set="m").items
    whole = (Piece(body=one.encode(), digest=f"of-{one}", file=f"{one[0]}.yaml") for one in files)
    return pack(header, (*items, *whole))


def told(opened: Opened) -> Mapping[str, str]:
    return {one.file: one.reason for one in opened.unread}


def ids(opened: Opened) -> list[str]:
    return [entry.id for entry in opened.bundle.objects]


async def test_objects_are_as_if_their_file_lay_openly_in_git() -> None:
    sops = FakeSops(a=config_map("a"), b=f"{config_map('b')}---\n{config_map('c')}")
    opened = await Decrypting(sops).opened(bundle("a", "b", plain=config_map("x")))
    assert ids(opened) == [f"ConfigMap default/{name}" for name in "xabc"]
    assert [one.encrypted for one in opened.bundle.objects] == [False, True, True, True]
    bodies = [json.loads(opened.bundle.object(one)) for one in opened.bundle.objects]
    assert all("fluxcd.io/sync-gc-mark" in one["metadata"]["labels"] for one in bodies)
    assert (opened.unread, opened.bundle.header.problems) == ((), 0)


async def test_a_file_is_decrypted_again_only_when_it_changes() -> None:
    sops = FakeSops(a=config_map("a"), b1=config_map("b"), b2=config_map("b"))
    decrypting = Decrypting(sops)
    await asyncio.gather(*(decrypting.opened(bundle("a", "b1")) for _ in range(3)))
    assert sorted(sops.asked) == ["a", "b1"]
    first = await decrypting.opened(bundle("a", "b1", revision="2"))
    second = await decrypting.opened(bundle("a", "b2", revision="3"))
    assert sorted(sops.asked) == ["a", "b1", "b2"]
    await decrypting.opened(bundle("a", revision="4"))
    await decrypting.opened(bundle("a", "b2", revision="5"))
    assert sops.asked[-1] == "b2"  # what left git is not kept
    (a, b), (same, other) = first.bundle.objects, second.bundle.objects
    assert (a.digest == same.digest, b.digest == other.digest) == (True, False)


async def test_no_digest_is_made_of_a_value() -> None:
    digests = []
    for value in ("hunter1", "hunter2"):
        sops = FakeSops(a=config_map("a", value))
        opened = await Decrypting(sops).opened(bundle("a"))
        digests.append(opened.bundle.objects[0].digest)
    assert digests[0] == digests[1]


async def test_what_can_not_be_read_is_a_problem_and_the_rest_is_there() -> None:
    sops = FakeSops(
        a=config_map("a"),
        b=PermanentError("no key"),
        c=TemporaryError("sops", "no answer"),
        d="kind: ConfigMap\napiVersion: v1\n",
        e="kind: ConfigMap\nsops: {mac: x}\n",
        f=f"{config_map('x')}---\n{config_map('f')}",
    )
    opened = await Decrypting(sops).opened(bundle(*"abcdef", plain=config_map("x")))
    assert told(opened) == {
        "b.yaml": "no key",
        "c.yaml": "sops: no answer",
        "d.yaml": "the ConfigMap has no metadata",
        "e.yaml": "it is encrypted twice; decrypt it once in git",
        "f.yaml": "ConfigMap default/x is declared already in plain.yaml:1; remove one of them",
    }
    assert [one.file for one in opened.unread if one.passing] == ["c.yaml"]
    assert ids(opened) == [f"ConfigMap default/{name}" for name in "xaf"]
    assert opened.bundle.header.problems == 5


async def test_a_failure_is_tried_again_and_what_was_read_is_not() -> None:
    sops = FakeSops(a=config_map("a"), b=PermanentError("no key"))
    decrypting = Decrypting(sops)
    failed = await decrypting.opened(bundle("a", "b"))
    assert await decrypting.opened(bundle("a", "b")) is failed
    sops.texts[b"b"] = config_map("b")
    opened = await decrypting.opened(bundle("a", "b"), at_most=0.0)
    assert sops.asked == ["a", "b", "b"]
    assert (opened.unread, len(opened.bundle.objects)) == ((), 2)
    assert opened.bundle.digest != failed.bundle.digest


async def test_many_files_do_not_wait_for_a_service_that_does_not_answer() -> None:
    names = [f"{number}" for number in range(10)]
    sops = FakeSops(**dict.fromkeys(names, TemporaryError("sops", "no answer")))
    opened = await Decrypting(sops).opened(bundle(*names))
    assert len(sops.asked) <= ENOUGH + AT_ONCE
    assert len(opened.unread) == len(names)
    assert all(one.passing for one in opened.unread)


async def test_what_git_says_to_ignore_is_not_applied_and_not_forgotten() -> None:
    ignored = config_map("a").replace(
        "{name: a}", '{name: a, annotations: {fluxcd.io/ignore: "true"}}'
    )
    opened = await Decrypting(FakeSops(a=ignored)).opened(bundle("a"))
    assert (ids(opened), opened.bundle.header.skipped) == ([], ("ConfigMap default/a",))


@pytest.mark.parametrize("readable", [True, False])
async def test_an_object_that_moved_to_an_encrypted_file_of_a_sibling_is_not_deleted(
    *, readable: bool
) -> None:
    sops = FakeSops(a=config_map("a") if readable else PermanentError("no key"))
    siblings = Siblings(Decrypting(sops))
    async with MemoryBroker([("default", "other")]).connect("/test") as bus:
        await store.publish(bus, bundle("a", sync="other"))
        siblings.join("other", Shelf(bus, "default", "other"))
        mine, name = bundle().header, "ConfigMap default/a"
        assert await siblings.declares("other", name, mine)
        found, unknown = await siblings.wanting(mine, [name, "ConfigMap default/z"])
    assert found == ({name: "other"} if readable else {})
    assert unknown == ("" if readable else "not all of the sync other can be read")


def test_a_comparison_of_what_was_encrypted_shows_names_and_no_value() -> None:
    named = ObjectId.parse("apps/Deployment default/web")
    before = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "labels": {"a": "hunter1"}},
        "spec": {"args": ["hunter1", "hunter2"], "ports": [{"port": 8080}], "x": {"y": None}},
    }
    after = {
        **before,
        "metadata": {**before["metadata"], "annotations": {"b": "hunter3"}},
        "spec": {"args": ["hunter1", "hunter3", "hunter4"], "ports": "hunter5"},
    }
    for pair in ((before, after), (after, before), (None, after), (before, None)):
        text = difference(named, *pair, encrypted=True)
        assert "hunter" not in text
        assert "8080" not in text
        assert "name: web" in text
    text = difference(named, before, after, encrypted=True)
    for line in ("   - '***'", "-  - port: '*** (before)'", "+  - '*** (after)'"):
        assert f"{line}\n" in f"{text}\n"
