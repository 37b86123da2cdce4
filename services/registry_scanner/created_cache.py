"""When images were created: asked of a registry once, kept for good."""

import sqlite3
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from shared.images import Candidate

logger = structlog.get_logger(__name__)

_TABLE = """
CREATE TABLE IF NOT EXISTS created (
    image TEXT, tag TEXT, digest TEXT, created TEXT, PRIMARY KEY (image, tag)
)
"""


class CreatedCache:
    """
    A file of creation times by image and tag.

    A tag that is pushed again under another digest triggers nothing, so what was read of a tag
    holds. A file that can't be read is made anew: that costs requests, and nothing else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = self._opened()
        except sqlite3.DatabaseError as error:
            logger.warning("cache unreadable, made anew", path=str(self._path), reason=str(error))
            self._path.unlink(missing_ok=True)
            self._db = self._opened()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ours.close()

    def known(self, image: str, tags: Collection[str]) -> Mapping[str, Candidate]:
        """Return what is known of *tags* of *image*."""
        rows = self._ours.execute(
            "SELECT tag, digest, created FROM created WHERE image = ?", (image,)
        )
        return {
            tag: _candidate(tag, digest, created) for tag, digest, created in rows if tag in tags
        }

    def keep(self, image: str, found: Collection[Candidate]) -> None:
        """Keep what was read of tags of *image*."""
        rows = [
            (image, one.tag, one.digest or "", one.created.isoformat() if one.created else "")
            for one in found
        ]
        with self._ours:
            self._ours.executemany("INSERT OR REPLACE INTO created VALUES (?, ?, ?, ?)", rows)

    @property
    def _ours(self) -> sqlite3.Connection:
        assert self._db is not None, "use it as a context manager"
        return self._db

    def _opened(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path)
        # Losing the last second in a power failure costs requests only.
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(_TABLE)
        return db


def _candidate(tag: str, digest: str, created: str) -> Candidate:
    moment = datetime.fromisoformat(created) if created else None
    return Candidate(tag=tag, digest=digest or None, created=moment)
