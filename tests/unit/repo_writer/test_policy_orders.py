"""Policies by hand: what is written, what is removed, and what is told."""

import pytest

from shared.contract import OrderCompleted, PolicyChange, PolicySpec, UpdateRequested
from tests.unit.repo_writer.fakes import FakeRepo
from tests.unit.repo_writer.given import (
    AUTOMATED,
    HOST,
    PINNED,
    REPOSITORY,
    WEB,
    deployment,
    events,
    handle,
    policies,
    said,
)

SIDECAR = f"        - name: side\n          image: {HOST}/side:1.0.0\n"
PLAIN = deployment("web", "1.0.0") + SIDECAR
LOCK = {"locked": "true", "locked_user": "A <a@example.com>"}


@pytest.mark.parametrize(
    ("before", "add", "remove", "after"),
    [
        ({}, {"automated": "true"}, (), {"automated": "true"}),
        ({"automated": "true"}, {}, ("automated",), {}),
        # As `fluxctl lock` without -m sends it: an empty value is none.
        ({}, {**LOCK, "locked_msg": ""}, (), LOCK),
        ({**LOCK, "locked_msg": "old"}, {"locked": "true", "locked_msg": ""}, (), LOCK),
        (
            {**LOCK, "locked_msg": "why", "automated": "true"},
            {},
            ("locked", "locked_msg", "locked_user"),
            {"automated": "true"},
        ),
        ({}, {"tag_all": "semver:~1"}, (), {"tag.main": "semver:~1", "tag.side": "semver:~1"}),
        ({"tag.main": "x", "tag.side": "y"}, {"tag_all": "glob:*"}, (), {}),
        ({}, {"tag_all": "glob:a", "tag.side": "glob:b"}, (), {"tag.main": "glob:a"}
         | {"tag.side": "glob:b"}),
        ({}, {"tag_all": "glob:a"}, ("tag.side",), {"tag.main": "glob:a"}),
        ({"tag.main": "x"}, {"tag_all": "glob:*", "tag.main": "b"}, (), {"tag.main": "b"}),
        ({"automated": "true"}, {"automated": "true"}, ("automated",), {}),
        ({}, {"ignore": "sync_only"}, (), {"ignore": "sync_only"}),
    ],
)  # fmt: skip
async def test_policies_become_what_was_asked_for(
    before: dict, add: dict, remove: tuple, after: dict
) -> None:
    repo = FakeRepo({"a": deployment("web", "1.0.0", **before) + SIDECAR})
    (done,) = events(await handle(repo, said(policies(WEB, *remove, **add))), OrderCompleted)
    assert (await repo.state(repo.branch)).workloads[WEB].policies.values == after
    assert done.result[WEB].status == "success"


@pytest.mark.parametrize(
    ("add", "remove"),
    [({}, ()), ({"automated": "true"}, ()), ({}, ("locked",)), ({"locked_msg": ""}, ())],
)
async def test_what_is_so_already_is_skipped_without_a_commit(add: dict, remove: tuple) -> None:
    repo = FakeRepo({"a": AUTOMATED})
    (done,) = events(await handle(repo, said(policies(WEB, *remove, **add))), OrderCompleted)
    assert (done.revision, done.result[WEB].status, done.result[WEB].error) == ("", "skipped", "")
    assert repo.pushes == 0


async def test_of_several_workloads_each_has_its_result() -> None:
    repo = FakeRepo({"a": PLAIN, "b": deployment("pinned", "1", automated="true")})
    change = PolicyChange(add={"automated": "true"})
    spec = PolicySpec(changes=dict.fromkeys([WEB, PINNED, "default:deployment/no"], change))
    order = UpdateRequested(repository=REPOSITORY, spec=spec)
    (done,) = events(await handle(repo, said(order)), OrderCompleted)
    assert {name: one.status for name, one in done.result.items()} == {
        WEB: "success",
        PINNED: "skipped",
        "default:deployment/no": "skipped",
    }


@pytest.mark.parametrize("pattern", ["semver:foo", "regexp:(", "regex:["])
async def test_an_invalid_pattern_fails_the_order_in_flux_v1s_words(pattern: str) -> None:
    for add in ({"tag.main": pattern}, {"tag_all": pattern}):
        repo = FakeRepo({"a": PLAIN})
        group = said(policies(WEB, **add))
        outcome = await handle(repo, group)
        assert str(outcome.failed[group[0].id]).startswith(f'invalid tag pattern: "{pattern}"')
        assert repo.pushes == 0
