"""
What an object means as a list or a watch shows it: drift, somebody who scales it, how it does.

A custom resource may hold anything, and so may the answers of an aggregated API. What can't be
understood is told with its name and left alone: one object must not end what all others need.
"""

import asyncio
import traceback
from collections.abc import Callable, Collection, Mapping
from typing import Any

import structlog
from prometheus_client import Counter

from services.cluster_applier.discovery import Resource
from services.cluster_applier.domain.drift import Drift
from services.cluster_applier.domain.ledger import Ledger, Seen, number
from services.cluster_applier.domain.scaling import KINDS as SCALERS
from services.cluster_applier.domain.status import is_told
from shared.manifests import ObjectId

logger = structlog.get_logger(__name__)

OnDrift = Callable[[str, str, Drift], None]
"""Told sync, object id and drift."""
OnWorkload = Callable[[ObjectId, Mapping[str, Any] | None], None]
"""Told a workload as it is now; None where it is gone."""

NOT_UNDERSTOOD = Counter(
    "flux_cluster_applier_objects_not_understood_total",
    "Objects of a cluster that could not be understood",
    ["kind"],
)


class Showing:
    """What the watches of one target show, and who is told."""

    def __init__(self, ledger: Ledger, drift: OnDrift, workload: OnWorkload) -> None:
        self._ledger = ledger
        self._drift = drift
        self._workload = workload
        self._told: set[str] = set()
        """Objects that can't be understood; each is told once, until it can be again."""

    def see(self, resource: Resource, item: Mapping[str, Any], *, gone: bool) -> ObjectId:
        """Take in an object of a kind, which has a name at least; return its id."""
        named = resource.named(item["metadata"])
        try:
            self._take_in(resource, named, item, gone=gone)
        except Exception as error:  # noqa: BLE001 - one object must not end the watch of all
            self._tell(named, error)
        else:
            self._told.discard(str(named))
        return named

    def judge(self, seen: Seen) -> None:
        """Tell it if an object is not as we applied it."""
        found = self._ledger.judge(seen)
        if found:
            sync, drift = found
            self._drift(sync, seen.id, drift)

    def missing(self, resource: Resource, there: Collection[str], version: str = "") -> None:
        """Tell what is gone of a kind of which *there* is all that is left, in this *version*."""
        for seen in self._ledger.missing(resource.key, there, _now(), number(version)):
            self.judge(seen)
        for named in self._ledger.scalers.missing(resource.key, there):
            self._scaled(named, None)

    def _take_in(
        self, resource: Resource, named: ObjectId, item: Mapping[str, Any], *, gone: bool
    ) -> None:
        self.judge(Seen.of(named, item["metadata"], _now(), gone=gone))
        if resource.key in SCALERS:
            self._scaled(named, None if gone else item)
        if is_told(resource.key):
            # Items of a list do not say what they are.
            what = {"apiVersion": f"{resource.group}/{resource.version}", "kind": resource.kind}
            self._workload(named, None if gone else {**what, **item})

    def _scaled(self, named: ObjectId, value: Mapping[str, Any] | None) -> None:
        for sync, name, drift in self._ledger.scaler(named, value, _now()):
            self._drift(sync, name, drift)

    def _tell(self, named: ObjectId, error: Exception) -> None:
        """Tell it once, and where in our code it is; what the error says may be what it holds."""
        NOT_UNDERSTOOD.labels(named.kind).inc()
        if str(named) not in self._told:
            self._told.add(str(named))
            where = traceback.extract_tb(error.__traceback__)[-1]
            at, what = f"{where.filename}:{where.lineno}", type(error).__name__
            logger.error("object not understood", object=str(named), error=what, at=at)


def _now() -> float:
    return asyncio.get_running_loop().time()
