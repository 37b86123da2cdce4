"""What a server says of its kinds is believed as a whole or not at all."""

from pathlib import Path
from typing import Any

import pytest

from services.cluster_applier.discovery import Discovery
from shared.manifests import ObjectId
from shared.runtime.errors import TemporaryError
from tests.unit.cluster_applier.fakes import FakeApi, serving

MAPS = {"resource": "configmaps", "responseKind": {"kind": "ConfigMap"}, "verbs": ["patch"]}
CORE = {"metadata": {}, "versions": [{"version": "v1", "resources": [MAPS]}]}
TODAYS, OLD = {"kind": "APIGroupDiscoveryList"}, {"kind": "APIGroupList"}

STRANGE: dict[str, Any] = {
    "something else": {"kind": "Status", "status": "Success"},
    "nothing of a kind": {"message": "welcome"},
    "no group": {**TODAYS, "items": [None]},
    "no groups": {**OLD, "groups": None},
    "a group without a name": {**OLD, "groups": [{"versions": [{}]}]},
}


@pytest.mark.parametrize("what", STRANGE)
async def test_what_is_no_discovery_is_an_outage_and_makes_no_kind_look_gone(
    tmp_path: Path, what: str
) -> None:
    api, known = FakeApi(), ObjectId.parse("ConfigMap n/a")
    api.on("GET", "/api", (200, {**TODAYS, "items": [CORE]}))
    api.on("GET", "/apis", (200, {**TODAYS, "items": []}))
    async with serving(api, tmp_path) as kube:
        discovery = Discovery(kube)
        assert await discovery.find(known, "v1")
        for root in ("/api", "/apis"):
            api.on("GET", root, (200, STRANGE[what]))
            discovery.expire()
            with pytest.raises(TemporaryError, match="discovery: it"):
                await discovery.find(known, "v1")
            assert [one.kind for one in discovery.all()] == ["ConfigMap"]
            api.on("GET", root, (200, {**TODAYS, "items": [CORE] if root == "/api" else []}))
