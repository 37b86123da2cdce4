"""How a kind is listed and watched: whole or by its metadata, all or what carries our mark."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from services.cluster_applier.answers import Answer
from services.cluster_applier.discovery import Resource
from services.cluster_applier.domain.scaling import KINDS as SCALERS
from services.cluster_applier.domain.status import KINDS, is_told
from services.cluster_applier.kube import METADATA, METADATA_LIST, Kube
from shared.manifests.marks import MARK
from shared.runtime.errors import FluxError, TemporaryError

PAGE = "500"
RESTARTS = 3
"""So often a list begins anew at once because it took too long."""


class NotServedError(FluxError):
    """A kind that the cluster serves no more."""


async def pages(kube: Kube, resource: Resource) -> AsyncGenerator[Mapping[str, Any], None]:
    """
    Yield a kind page by page; where it took too long, all of them again.

    Raises:
        NotServedError: there is no such kind any more.
        TemporaryError: it can't be read now; of one kind only where the cluster is there.
    """
    token, restarts = "", 0
    while True:
        params = {"limit": PAGE, **selection(resource), **({"continue": token} if token else {})}
        accept = accepted(resource, listing=True)
        answer = await kube.look(resource.collection(), accept=accept, **params)
        if answer.status == 410 and token and restarts < RESTARTS:
            token, restarts = "", restarts + 1
            continue
        if not answer.ok or not answer.is_list:
            if answer.passing:
                await kube.alive()  # else it is no matter of this kind
            raise refusal(kube, "list", resource, answer)
        yield answer.body
        token = str((answer.body.get("metadata") or {}).get("continue") or "")
        if not token:
            return


def refusal(kube: Kube, verb: str, resource: Resource, answer: Answer) -> FluxError:
    """Return the error that stands for a list or watch that was refused."""
    if answer.status == 404:
        return NotServedError(f"the cluster serves no {resource.collection()}")
    denied = answer.status == 403
    remedy = f"; allow the verbs list and watch of {resource.plural}" if denied else ""
    where = f" in {resource.group}" if resource.group else ""
    name = f"{kube.name}, {verb} of {resource.plural}{where}"
    return TemporaryError(name, f"{answer.reason}{remedy}", retry_after=answer.retry_after)


def selection(resource: Resource) -> Mapping[str, str]:
    """Return which objects of a kind are read."""
    everybodys = resource.key in KINDS or resource.key in SCALERS
    return {} if everybodys else {"labelSelector": MARK}


def accepted(resource: Resource, *, listing: bool) -> str:
    """Return in which form they are read."""
    if is_told(resource.key) or resource.key in SCALERS:
        return "application/json"
    return METADATA_LIST if listing else METADATA
