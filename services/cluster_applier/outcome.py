"""What becomes of the objects of one round, each with a result of its own."""

from collections.abc import Collection, Iterable, Sequence

import structlog

from services.cluster_applier.answers import Answer
from services.cluster_applier.discovery import Discovery, Resource
from services.cluster_applier.domain.inventory import Applied
from services.cluster_applier.domain.plan import Wanted
from services.cluster_applier.domain.refusal import sentence
from shared.contract import ObjectResult

logger = structlog.get_logger(__name__)


class Outcome:
    """
    Of one round; *carried*: what was done in one that did not end.

    *lacking*: the namespaces that were told to be missing.
    """

    def __init__(self, carried: Iterable[ObjectResult], lacking: Collection[str]) -> None:
        self.results: list[ObjectResult] = list(carried)
        self.held: list[ObjectResult] = []
        """Of objects that were not even tried; told where there is anything else to tell."""
        self.applied: dict[str, Applied] = {}
        self.refused: dict[str, tuple[str, str]] = {}
        """By object id: digest and reason of what only a change of the object can help."""
        self.unserved = False
        """A kind was not where the server said that it is."""
        self.unfinished = False
        """Something failed that may work a little later."""
        self.lacking: set[str] = set()
        """Namespaces that are missing, or about to go: another sync may make them."""
        self._lacked = lacking
        self.retry_after = 0.0
        """Seconds before which the server does not want to be asked about that again."""

    @property
    def failed(self) -> bool:
        """Whether any object is not as it is declared."""
        return any(one.action == "failed" for one in (*self.results, *self.held))

    def tell(self, one: Wanted, action: str, message: str) -> None:
        """Note what became of an object."""
        self.results.append(_result(one, action, message))

    def refuse(self, one: Wanted, reason: str) -> None:
        """Note that an object could not be applied."""
        entry = one.entry
        where = {"file": entry.file, "line": entry.line}
        logger.error("object not applied", object=str(one.id), reason=reason, **where)
        self.tell(one, "failed", reason)

    def hold(self, one: Wanted, action: str, reason: str) -> None:
        """Note an object that is not tried; that was told when it became so."""
        self.held.append(_result(one, action, reason))

    def refuse_lacking(self, one: Wanted, reason: str) -> None:
        """Note an object whose namespace is not there; it is told once, and tried again soon."""
        self.unfinished = True
        self.lacking.add(one.id.namespace)
        if one.id.namespace in self._lacked:
            self.hold(one, "failed", reason)
        else:
            self.refuse(one, reason)

    def refuse_unknown(
        self, unknown: Sequence[Wanted], told: Collection[Wanted], discovery: Discovery
    ) -> None:
        """Note objects whose kind the cluster does not serve; of those *told* it is known."""
        for one in unknown:
            self.unfinished = True
            reason = unserved(one, discovery.alike(one.id.kind))
            if one in told:
                self.hold(one, "failed", reason)
            else:
                self.refuse(one, reason)


def why(one: Wanted, answer: Answer) -> str:
    """Return why the API server refused an object."""
    said = answer.status, answer.reason, answer.body
    return sentence(*said, named=one.id, secret=one.secret)


def unserved(one: Wanted, alike: Sequence[Resource] = ()) -> str:
    """Return why an object can't be applied whose kind is not served; *alike* are served."""
    kind = _kind(one.id.group, one.entry.version, one.id.kind)
    served = ", ".join(_kind(other.group, other.version, other.kind) for other in alike)
    hint = f", but {served}" if served else ""
    return f"the cluster serves no {kind} that can be applied{hint}; tried again when it is defined"


def _kind(group: str, version: str, kind: str) -> str:
    return f"{group}/{version} {kind}" if group else f"{version} {kind}"


def _result(one: Wanted, action: str, message: str) -> ObjectResult:
    entry = one.entry
    return ObjectResult(
        id=str(one.id), action=action, message=message, file=entry.file, line=entry.line
    )
