"""How large an inventory may be: what a ConfigMap holds, now and once its objects are applied."""

from collections.abc import Mapping

from services.cluster_applier.domain.inventory import Inventory
from shared.runtime.errors import PermanentError

LARGEST = 1_000_000
"""Bytes that a ConfigMap may hold, with some room: the API server takes 1 MiB."""
BYTES = 150
"""At most, of what is known of an object once it is applied, beside its name."""


def fitting(inventory: Inventory) -> Mapping[str, str]:
    """
    Return the data of an inventory.

    Raises:
        PermanentError: it is too large, or will be once its objects are applied.
    """
    data, count = inventory.encoded(), len(inventory.objects)
    size = _size(data)
    unsure = sum(not one.uid for one in inventory.objects.values())
    if size + unsure * BYTES > LARGEST:
        size = _size(inventory.certain.encoded())
    if size > LARGEST:
        raise PermanentError(
            f"the inventory of {inventory.sync} has {count} objects and {size} bytes, and a"
            f" ConfigMap holds {LARGEST}: divide the sync into several by git.paths"
        )
    return data


def _size(data: Mapping[str, str]) -> int:
    return sum(map(len, data.values()))
