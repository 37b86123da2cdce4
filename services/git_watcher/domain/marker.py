"""What git-watcher remembers of the bundle that it published last for a sync, as text."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """Empty where nothing was published, or what was is not known any more."""

    revision: str = ""
    bundle: str = ""
    """Its digest."""
    rewritten: bool = False
    """As its header says: rendered again, the same revision must give the same bundle."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote; anything else is as good as nothing."""
        revision, bundle, *rest = (*text.split(), "", "")
        return cls(revision=revision, bundle=bundle, rewritten="rewritten" in rest)

    def __str__(self) -> str:
        words = [self.revision, self.bundle, *(["rewritten"] if self.rewritten else [])]
        return " ".join(words)
