"""One look at a sync: what it is about, and what has come of it so far."""

from dataclasses import dataclass, field

from services.cluster_applier.apply import Applying
from services.cluster_applier.domain.fence import Verdict
from services.cluster_applier.placing import NOTHING, Placed
from services.cluster_applier.prune import Pruning
from shared.bundle.format import Bundle, Header
from shared.contract import ObjectResult


@dataclass(slots=True, kw_only=True)
class Look:
    """What the parts of one look share."""

    bundle: Bundle
    verdict: Verdict
    applying: Applying
    pruning: Pruning
    placed: Placed = field(default=NOTHING)
    """The objects of the bundle, once it was seen where they are."""
    unchanged: int = 0
    news: bool = False
    """Whether there is anything to tell of it."""
    kept: str = ""
    """Why nothing was pruned, if so."""
    lost: str = ""
    """Why it is not known any more what was applied before, if so."""
    notes: list[ObjectResult] = field(default_factory=list)
    """What is to be told besides."""
    held: int = 0
    """Objects that wait until a person allows that they go."""

    @property
    def changed(self) -> bool:
        """Whether anything was done, or tried."""
        return bool(self.applying.results or self.pruning.results)

    @property
    def header(self) -> Header:
        """Of the bundle."""
        return self.bundle.header

    @property
    def declared(self) -> frozenset[str]:
        """The ids of all objects that are declared, with the namespaces that they have here."""
        return frozenset(str(one.id) for one in (*self.placed.known, *self.placed.unknown))

    @property
    def results(self) -> list[ObjectResult]:
        """What became of the objects, first of those that were tried."""
        applying, pruning = self.applying, self.pruning
        return [*applying.results, *applying.held, *pruning.results, *pruning.kept, *self.notes]

    @property
    def unfinished(self) -> bool:
        """Whether something failed that may work a little later."""
        return self.applying.unfinished or self.pruning.unfinished
