"""An inventory that no ConfigMap can hold: on the real control plane."""

import random
import string

import pytest

from shared.contract import SyncFailed
from tests.integration.applier_stage import Stage, applies, config_map

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]


def maps(count: int) -> str:
    """Return maps of names that can't be compressed."""
    some = random.Random(count)
    letters = string.ascii_lowercase + string.digits
    return "".join(config_map("".join(some.choices(letters, k=250)), k="1") for _ in range(count))


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(3_400, id="once what was applied is known"),
        pytest.param(6_000, id="by its names alone"),
    ],
)
async def test_what_no_inventory_can_hold_is_told_before_anything_is_touched(
    stage: Stage, count: int
) -> None:
    kept = config_map("a", k="1") + config_map("b", k="1")
    async with stage.applying():
        await stage.declare(kept)
        await stage.completed()
        before = applies()
        await stage.declare(config_map("a", k="2") + maps(count))
        failed = await stage.wait(SyncFailed)
        assert f"the inventory of apps has {count + 2} objects" in failed.reason
        assert "divide the sync into several by git.paths" in failed.reason
        assert applies() == before
        assert (await stage.data("a"), await stage.data("b")) == ({"k": "1"}, {"k": "1"})
        await stage.declare(config_map("a", k="3") + config_map("c", k="1"))
        assert (await stage.completed()).counts == {"configured": 1, "created": 1, "deleted": 1}
