"""git_watcher says what is new on a branch: once, in order, and again as long as it holds."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from services.git_watcher import handlers
from services.git_watcher.branch import Branch
from services.git_watcher.generating import Generating
from services.git_watcher.settings import SyncSettings
from shared.bundle.sealing import Opener, generate
from shared.bus.port import Outcome
from shared.contract import (
    Draft,
    EncryptedFile,
    HeadQuestion,
    HeadTold,
    Message,
    PollRequested,
    RevisionObserved,
    StateDeclared,
)
from shared.rendering.generators import Generators
from shared.runtime.errors import PermanentError, TemporaryError
from tests.unit.git_watcher.fakes import FakeBus, FakeMirror, FakeRenderer

REPOSITORY = "git.example.com/acme/apps#main"


def sync(
    name: str = "apps", *paths: str, interval: float = 3600.0, generates: bool = False
) -> SyncSettings:
    return SyncSettings(
        name=name,
        target="default",
        paths=paths,
        default_namespace="shop",
        interval=interval,
        url="https://git.example.com/acme/apps",
        marked_url="https://git.example.com/acme/apps",
        generation=7,
        manifest_generation=generates,
    )


def config_map(name: str, value: str = "1") -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{v: '{value}'}}\n"


def deployment(name: str) -> str:
    return (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n"
        '  annotations: {fluxcd.io/automated: "true"}\n'
        "spec: {template: {spec: {containers: [{name: main, image: 'web:1'}]}}}\n"
    )


class Stage:
    """The handler with its fakes; `restart` keeps what is on disk and nothing else."""

    def __init__(self, *syncs: SyncSettings) -> None:
        self.mirror = FakeMirror()
        self.bus = FakeBus()
        self.renderer = FakeRenderer()
        self.syncs = syncs or (sync(),)
        self.restart()

    def restart(self) -> None:
        self.branch = Branch(REPOSITORY, self.mirror, self.syncs, self._generating())

    def _generating(self) -> Generating:
        return Generating(Generators(self.mirror, self.renderer))

    async def handle(self, *messages: Message) -> Outcome:
        envelopes = [Draft(message=one).sealed("/test") for one in messages or (poll(),)]
        return await handlers.on_group(
            REPOSITORY, envelopes, branches={REPOSITORY: self.branch}, bus=self.bus
        )


def poll(reason: str = "webhook") -> PollRequested:
    return PollRequested(repository=REPOSITORY, reason=reason)


async def test_a_new_head_is_told_bundle_first_and_remembered_last() -> None:
    stage = Stage()
    revision = stage.mirror.push({"a.yaml": config_map("a"), "web.yaml": deployment("web")})
    outcome = await stage.handle(poll("tick"), poll("webhook"), poll("tick"))

    assert stage.mirror.fetches == 1
    assert stage.bus.order() == ["bundle", "state.declared", "revision.observed"]
    assert outcome == Outcome()
    (state,), (bundle,) = stage.bus.messages(StateDeclared), stage.bus.bundles()
    assert (state.revision, state.bundle, state.objects) == (revision, bundle.digest, 2)
    (web,) = state.workloads
    assert (web.id, web.containers[0].image) == ("shop:deployment/web", "web:1")
    assert web.policies == {"automated": "true"}
    assert (bundle.header.revision, bundle.header.generation) == (revision, 7)
    assert stage.mirror.notes == {
        "published-apps": f"{revision} {bundle.digest}",
        "observed": revision,
    }


async def test_the_cause_is_who_asked_and_not_the_tick_before() -> None:
    stage = Stage()
    stage.mirror.push({"a.yaml": config_map("a")})
    tick, webhook = (Draft(message=poll(one)).sealed("/test") for one in ("tick", "webhook"))
    await handlers.on_group(
        REPOSITORY, [tick, webhook], branches={REPOSITORY: stage.branch}, bus=stage.bus
    )
    causes = {one.cause.id for one in stage.bus.said if isinstance(one, Draft) and one.cause}
    assert causes == {webhook.id}


async def test_how_many_commits_came_since_the_last_look_is_told() -> None:
    stage = Stage()
    for value in ("1", "2", "3", "4"):
        stage.mirror.push({"a.yaml": config_map("a", value)})
        if value != "3":
            await stage.handle()
    rewritten = stage.mirror.push({"a.yaml": config_map("a")}, parent="")
    await stage.handle()
    states = stage.bus.messages(StateDeclared)
    assert [one.commits for one in states] == [1, 1, 2, 1]
    assert states[-1].revision == rewritten


async def test_where_nothing_is_new_nothing_is_said() -> None:
    stage = Stage()
    stage.mirror.push({"a.yaml": config_map("a")})
    await stage.handle()
    stage.bus.forget()
    await stage.handle()
    assert stage.bus.order() == []


async def test_what_holds_is_said_again_in_its_interval() -> None:
    stage = Stage(sync(interval=0.0))
    stage.mirror.push({"a.yaml": config_map("a")})
    await stage.handle()
    (first,) = stage.bus.messages(StateDeclared)
    stage.bus.forget()
    await stage.handle(poll("tick"))

    assert stage.bus.order() == ["state.declared"]
    assert stage.bus.messages(StateDeclared) == [first]


async def test_who_lost_the_bundle_gets_it_again() -> None:
    stage = Stage()
    stage.mirror.push({"a.yaml": config_map("a")})
    await stage.handle()
    (first,) = stage.bus.bundles()
    stage.bus.forget()
    await stage.handle(poll("tick"), poll("again"))

    assert stage.bus.order() == ["bundle", "state.declared"]
    assert stage.bus.bundles() == [first]


async def test_a_commit_that_changes_one_file_reads_one_file() -> None:
    stage = Stage()
    files = {f"{number:04}.yaml": config_map(f"c{number}") for number in range(200)}
    stage.mirror.push(files)
    await stage.handle()
    stage.mirror.looked_at.clear()
    stage.mirror.push({**files, "0100.yaml": config_map("c100", "2")})
    await stage.handle()

    assert len(stage.mirror.looked_at) == 1
    old, new = stage.bus.bundles()
    changed = [
        (a.id, b.id) for a, b in zip(old.objects, new.objects, strict=True) if a.digest != b.digest
    ]
    assert changed == [("ConfigMap shop/c100", "ConfigMap shop/c100")]


async def test_a_restart_says_the_state_again_and_publishes_nothing_twice() -> None:
    stage = Stage()
    stage.mirror.push({"a.yaml": config_map("a")})
    await stage.handle()
    (first,) = stage.bus.messages(StateDeclared)
    stage.bus.forget()
    stage.restart()
    await stage.handle(poll("tick"))

    assert stage.bus.order() == ["state.declared"]
    assert stage.bus.messages(StateDeclared) == [first]


async def test_what_was_said_but_not_remembered_is_said_again() -> None:
    stage = Stage()
    stage.mirror.push({"a.yaml": config_map("a")})
    stage.mirror.read_only = True
    with pytest.raises(OSError, match="ended here"):
        await stage.handle()
    said = stage.bus.order()
    stage.mirror.read_only = False
    stage.restart()
    stage.bus.forget()
    await stage.handle()

    assert said == ["bundle", "state.declared"]
    assert stage.bus.order() == ["bundle", "state.declared", "revision.observed"]


async def test_a_rewritten_history_is_told_also_after_a_restart() -> None:
    stage = Stage()
    first = stage.mirror.push({"a.yaml": config_map("a")})
    stage.mirror.push({"a.yaml": config_map("a", "2")})
    await stage.handle()
    stage.mirror.push({"a.yaml": config_map("a", "3")}, parent=first)
    await stage.handle()
    assert [one.rewritten for one in stage.bus.messages(RevisionObserved)] == [False, True]
    assert [one.header.rewritten for one in stage.bus.bundles()] == [False, True]
    assert stage.bus.bundles()[-1].header.ancestors == (stage.mirror.head, first)

    stage.restart()
    stage.bus.forget()
    await stage.handle()
    assert stage.bus.order() == ["state.declared"]
    stage.mirror.push({"a.yaml": config_map("a", "4")})
    await stage.handle()
    assert [one.header.rewritten for one in stage.bus.bundles()] == [False]


async def test_syncs_of_one_repository_share_a_fetch_and_nothing_else() -> None:
    stage = Stage(sync("one", "one"), sync("two", "two", "shared"))
    stage.mirror.push(
        {
            "one/a.yaml": config_map("a"),
            "two/b.yaml": "kind: [\n",
            "shared/c.yaml": config_map("c"),
            "d.yaml": config_map("d"),
        }
    )
    await stage.handle()

    assert stage.mirror.fetches == 1
    # Syncs are declared side by side: what is promised is the order of each, and the news last.
    for name in ("one", "two"):
        assert stage.bus.order(name) == ["bundle", "state.declared"]
    assert (len(stage.bus.order()), stage.bus.order()[-1]) == (5, "revision.observed")
    one, two = sorted(stage.bus.messages(StateDeclared), key=lambda state: state.sync)
    assert (one.objects, one.problems) == (1, ())
    assert two.objects == 1
    assert [(problem.file, problem.line) for problem in two.problems] == [("two/b.yaml", 1)]
    problems = {bundle.header.sync: bundle.header.problems for bundle in stage.bus.bundles()}
    assert problems == {"one": 0, "two": 1}


async def test_a_path_that_is_not_there_is_a_problem_of_its_sync() -> None:
    stage = Stage(sync("apps", "apps", "typo"))
    stage.mirror.push({"apps/a.yaml": config_map("a")})
    await stage.handle()

    (state,) = stage.bus.messages(StateDeclared)
    assert state.objects == 1
    assert [one.file for one in state.problems] == ["typo"]


async def test_a_host_that_is_away_is_no_answer_but_an_error_for_who_asks() -> None:
    stage = Stage()
    stage.mirror.down = True
    question = Draft(message=HeadQuestion(repository=REPOSITORY)).sealed("/test")
    with pytest.raises(TemporaryError, match=r"git host git\.example\.com: no answer"):
        await handlers.on_group(
            REPOSITORY, [question], branches={REPOSITORY: stage.branch}, bus=stage.bus
        )
    (told,) = stage.bus.messages(HeadTold)
    assert told.error == "git host git.example.com: no answer"


async def test_who_asks_for_the_head_is_told_after_the_news() -> None:
    stage = Stage()
    revision = stage.mirror.push({"a.yaml": config_map("a")})
    outcome = await stage.handle(poll(), HeadQuestion(repository=REPOSITORY))

    assert "revision.observed" in stage.bus.order()
    assert answers(outcome.events) == [HeadTold(revision=revision, branch="main")]


async def test_a_repository_of_nobody_is_refused() -> None:
    with pytest.raises(PermanentError, match=r"no sync of flux\.yaml reads elsewhere"):
        await handlers.on_group("elsewhere", [], branches={}, bus=FakeBus())


async def test_a_head_is_told_with_its_newest_commits_shortened() -> None:
    stage = Stage()
    for number in range(60):
        stage.mirror.push({"a.yaml": config_map("a", str(number))})
    await stage.handle()

    (news,) = stage.bus.messages(RevisionObserved)
    assert len(news.commits) == 50
    assert news.commits[0].revision == news.revision == stage.mirror.head
    assert {len(commit.message) for commit in news.commits} == {500}


def answers(events: Sequence[Draft]) -> list[Message]:
    return [draft.message for draft in events]


async def test_an_encrypted_file_is_told_and_published_as_it_lies_in_git() -> None:
    cipher = "ENC[AES256_GCM,data:DX1o==,iv:SAlN=,tag:1TBe==,type:str]"
    text = f"kind:   '{cipher}'\nsops: {{mac: '{cipher}'}}\n"
    stage = Stage()
    stage.mirror.push({"a.yaml": config_map("a"), "b.yaml": text})
    await stage.handle()
    (state,), (bundle,) = stage.bus.messages(StateDeclared), stage.bus.bundles()
    assert state.encrypted == (EncryptedFile(file="b.yaml"),)
    assert (state.objects, state.problems) == (1, ())
    (place,) = bundle.files
    assert bundle.object(place) == text.encode()


async def test_with_a_new_pair_of_keys_all_is_published_anew() -> None:
    pairs = [generate(), generate()]
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {p: hunter2}\n"
    stage = Stage()
    stage.mirror.push({"a.yaml": secret})
    for _, public_key in pairs:
        stage.syncs = (replace(sync(), public_key=public_key),)
        stage.restart()
        for _ in range(2):
            await stage.handle()
    first, second = stage.bus.bundles()
    (entry,) = second.objects
    assert first.digest != second.digest
    assert b"aHVudGVyMg==" in replace(second, opener=Opener(pairs[1][0])).object(entry)
    # What is equal is not applied again.
    assert [one.digest for one in first.objects] == [one.digest for one in second.objects]
