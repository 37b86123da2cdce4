"""Makes Flux's own namespace in a cluster, where it is missing."""

from services.cluster_applier.answers import Answer
from services.cluster_applier.kube import Kube
from shared.runtime.errors import PermanentError


async def create_in(kube: Kube, namespace: str, collection: str, body: object) -> Answer:
    """
    Create an object in a collection of *namespace*.

    Raises:
        PermanentError: there is no such namespace, and it can't be made.
    """
    answer = await kube.create(collection, body)
    if answer.status != 404:
        return answer
    made = await kube.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    if not made.ok and made.status != 409:
        raise PermanentError(
            f"the namespace {namespace} for inventories can't be made: {made.reason}"
        )
    return await kube.create(collection, body)
