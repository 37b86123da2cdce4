"""Objects that nobody can make sense of: told by name, and none of the others' business."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.cluster_applier.discovery import Resource
from services.cluster_applier.domain.ledger import Ledger
from services.cluster_applier.showing import Showing
from shared.manifests import ObjectId
from tests.unit.cluster_applier.fakes import FakeApi, lines, listed, owned
from tests.unit.cluster_applier.test_watching import (
    MAPS,
    MAPS_PATH,
    SECRETS,
    SECRETS_PATH,
    watching,
)

NAME = "example.com/Plant n/a"
PLANTS = Resource(group="example.com", version="v1", kind="Plant", plural="plants", namespaced=True)


async def test_one_that_is_not_understood_is_told_once_without_what_it_holds() -> None:
    seen: list[str] = []

    def workload(named: ObjectId, value: Mapping[str, Any] | None) -> None:
        int((value or {})["spec"])
        seen.append(named.name)

    showing = Showing(Ledger(), lambda *_: None, workload)
    with capture_logs() as logs:
        # The last one was understood in between.
        shown = (("a", "hunter2"), ("b", 1), ("a", "hunter2"), ("a", 1), ("a", "hunter2"))
        for name, spec in shown:
            item = {"metadata": {"name": name, "namespace": "n"}, "spec": spec}
            showing.see(PLANTS, item, gone=False)
    assert seen == ["b", "a"]
    assert [(one["object"], one["error"]) for one in logs] == [
        ("example.com/Plant n/a", "ValueError")
    ] * 2
    assert "hunter2" not in str(logs)


NO_LISTS: list[Any] = [
    {"items": 5},
    {"items": [None]},
    {"items": [{}]},
    {"items": [{"metadata": {"name": 1}}]},
    {"metadata": "x"},
    {"metadata": None},
    "text",
]


@pytest.mark.parametrize("wrong", NO_LISTS, ids=str)
async def test_what_is_no_list_of_objects_is_told_and_nothing_counts_as_gone(
    tmp_path: Path, wrong: Any
) -> None:
    api = FakeApi()
    _, right = listed({"metadata": owned("b")})
    api.on("GET", MAPS_PATH, (200, {**right, **wrong} if isinstance(wrong, dict) else wrong))
    api.on("GET", SECRETS_PATH, (200, right))
    api.on("GET", "/version", (200, {}))
    api.on("WATCH", SECRETS_PATH, lines(hold=True))
    async with watching(api, tmp_path, MAPS, SECRETS) as found:
        await found.wait_outages(1)
        assert found.bus.outages == [("down", "cluster default, list of configmaps")]
        await found.watches.compare(at_most=0.0)
        await api.wait_asked("WATCH", SECRETS_PATH, 1)
        assert found.drifts == []
        api.on("GET", MAPS_PATH, listed())
        assert (await found.wait_drift())[0] == "ConfigMap n/a"
