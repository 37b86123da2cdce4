"""Where objects are is looked up once for as long as the cluster serves the same kinds."""

from services.cluster_applier.discovery import Resource
from services.cluster_applier.placing import placed
from shared.bundle.format import Bundle, Header
from shared.bundle.packing import Item, pack
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


def bundle(*names: str, namespace: str = "default") -> Bundle:
    items = [
        Item(id=ObjectId.parse(name), version="v1", body=b"{}", digest=name, file="a.yaml", line=1)
        for name in names
    ]
    what = {"sync": "apps", "target": "t", "repository": "r", "url": "u", "revision": "a"}
    return pack(Header.model_validate({**what, "default_namespace": namespace}), items)


async def test_what_was_placed_is_not_looked_up_again() -> None:
    serving = Serving()
    first = await placed(bundle("ConfigMap a", "Node n", "Gear g"), serving)
    serving.asked.clear()
    again = await placed(bundle("ConfigMap a", "ConfigMap b"), serving, first)

    assert serving.asked == ["b"]
    assert [one.path for one in again.known] == [
        f"/api/v1/namespaces/default/configmaps/{name}" for name in "ab"
    ]
    assert again.resources == {MAPS}
    assert [one.entry.digest for one in again.known] == ["ConfigMap a", "ConfigMap b"]


async def test_other_kinds_or_another_namespace_place_all_anew() -> None:
    serving = Serving()
    first = await placed(bundle("ConfigMap a"), serving)
    moved = await placed(bundle("ConfigMap a", namespace="shop"), serving, first)
    assert [one.path for one in moved.known] == ["/api/v1/namespaces/shop/configmaps/a"]
    serving.generation += 1
    await placed(bundle("ConfigMap a"), serving, first)
    assert serving.asked == ["a", "a", "a"]
