"""The note of a commit is the one that Flux v1 wrote."""

import json

import pytest

from shared.contract import Cause, UpdateRequested
from tests.unit.repo_writer.fakes import FakeRepo
from tests.unit.repo_writer.given import (
    AUTOMATED,
    HOST,
    LOCKED,
    PINNED,
    WEB,
    found,
    handle,
    policies,
    release,
    said,
    ticked,
)

CHANGED = [{"Container": "main", "Current": f"{HOST}/web:1.0.0", "Target": f"{HOST}/web:1.1.0"}]
SUCCESS = {"Status": "success", "PerContainer": CHANGED}
AUTO = {
    "Changes": [
        {
            "WorkloadID": WEB,
            "Container": {"Name": "main", "Image": f"{HOST}/web:1.0.0"},
            "ImageID": f"{HOST}/web:1.1.0",
        }
    ]
}
IMAGE = {
    "ServiceSpecs": ["<all>"],
    "ImageSpec": "<all latest>",
    "Kind": "execute",
    "Excludes": None,
    "Force": False,
}
CONTAINERS = {
    "Kind": "execute",
    "ContainerSpecs": {WEB: CHANGED},
    "SkipMismatches": False,
    "Force": False,
}
POLICY = {WEB: {"add": {"locked": "true"}, "remove": {"automated": "true"}}}


@pytest.mark.parametrize(
    ("message", "kind", "spec", "result"),
    [
        (found(), "auto", AUTO, {WEB: SUCCESS}),
        (
            release(),
            "image",
            IMAGE,
            {WEB: SUCCESS, PINNED: {"Status": "skipped", "Error": "locked", "PerContainer": None}},
        ),
        (
            ticked({WEB: [("main", f"{HOST}/web:1.0.0", f"{HOST}/web:1.1.0")]}),
            "containers",
            CONTAINERS,
            {
                WEB: SUCCESS,
                PINNED: {"Status": "ignored", "Error": "not included", "PerContainer": None},
            },
        ),
        (policies(WEB, "automated", locked="true"), "policy", POLICY, None),
    ],
)
async def test_a_note_tells_job_spec_and_result(
    message: UpdateRequested, kind: str, spec: object, result: object
) -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED, "pinned.yaml": LOCKED})
    group = said(message)
    await handle(repo, group)

    (text,) = repo.notes.values()
    user = "Flux" if kind == "image" else ""
    assert list(repo.notes) == [repo.branch]
    assert json.loads(text) == {
        "jobID": group[0].correlationid,
        "spec": {"type": kind, "cause": {"Message": "", "User": user}, "spec": spec},
        "result": result,
    }


async def test_a_note_is_one_line_whatever_people_wrote() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    words = 'a"\n}\x00\x1b[31m\u2028\ud800'
    order = policies(WEB, locked="true", cause=Cause(user=words, message=words))
    await handle(repo, said(order))

    (text,) = repo.notes.values()
    assert text.isascii()
    assert text.count("\n") == 1
    assert json.loads(text)["spec"]["cause"]["Message"] == words
