"""Where objects are is looked up once for as long as the cluster serves the same kinds."""

from services.cluster_applier.discovery import Resource
from services.cluster_applier.placing import Placing
from shared.bundle.format import Bundle, Header
from shared.bundle.packing import CHUNK, Item, pack
from shared.manifests import ObjectId

MAPS = Resource(group="", version="v1", kind="ConfigMap", plural="configmaps", namespaced=True)
NODES = Resource(group="", version="v1", kind="Node", plural="nodes", namespaced=False)


class Serving:
    """Stands for `Discovery`: it knows two kinds, and counts how often it is asked."""

    def __init__(self) -> None:
        self.generation = 1
        self.asked: list[str] = []

    async def find(self, named: ObjectId, _: str) -> Resource | None:
        self.asked.append(named.name)
        return {one.kind: one for one in (MAPS, NODES)}.get(named.kind)


def bundle(*names: str, namespace: str = "default", before: Bundle | None = None) -> Bundle:
    items = [
        Item(
            id=ObjectId.parse(name),
            version="v1",
            body=b"x" * CHUNK,  # each in a chunk of its own
            digest=name,
            file="a.yaml",
            line=1,
        )
        for name in names
    ]
    what = {"sync": "apps", "target": "t", "repository": "r", "url": "u", "revision": "a"}
    return pack(Header.model_validate({**what, "default_namespace": namespace}), items, before)


async def test_what_was_placed_is_not_looked_up_again() -> None:
    serving = Serving()
    placing, first = Placing(serving), bundle("ConfigMap a", "Node n")
    await placing.placed(first)
    serving.asked.clear()
    again = await placing.placed(bundle("ConfigMap a", "ConfigMap b", before=first))

    assert serving.asked == ["b"]
    assert [one.path for one in again.known] == [
        f"/api/v1/namespaces/default/configmaps/{name}" for name in "ab"
    ]
    assert again.resources == {MAPS}
    assert [one.entry.digest for one in again.known] == ["ConfigMap a", "ConfigMap b"]


async def test_a_kind_that_is_not_served_is_looked_for_again_and_alone() -> None:
    serving = Serving()
    placing, same = Placing(serving), bundle("ConfigMap a", "Gear g")
    for _ in range(2):
        assert [one.id.kind for one in (await placing.placed(same)).unknown] == ["Gear"]
    assert serving.asked == ["a", "g", "g"]


async def test_other_kinds_or_another_namespace_place_all_anew() -> None:
    serving = Serving()
    placing, first = Placing(serving), bundle("ConfigMap a")
    await placing.placed(first)
    moved = await placing.placed(bundle("ConfigMap a", namespace="shop", before=first))
    assert [one.path for one in moved.known] == ["/api/v1/namespaces/shop/configmaps/a"]
    serving.generation += 1
    await placing.placed(bundle("ConfigMap a", namespace="shop", before=first))
    assert serving.asked == ["a", "a", "a"]


async def test_what_was_placed_while_the_cluster_told_new_kinds_is_placed_once_more() -> None:
    serving = Serving()
    placing, same = Placing(serving), bundle("ConfigMap a")
    find = serving.find

    async def told(named: ObjectId, version: str) -> Resource | None:
        serving.generation = 2
        return await find(named, version)

    serving.find = told  # type: ignore[method-assign]
    for _ in range(3):
        await placing.placed(same)
    assert serving.asked == ["a", "a"]
