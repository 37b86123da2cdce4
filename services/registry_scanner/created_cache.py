"""When images were created: asked of a registry once, kept for good."""

import sqlite3
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from shared.images import Candidate
from shared.runtime.errors import PermanentError

logger = structlog.get_logger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS created (
    image TEXT, tag TEXT, digest TEXT, created TEXT, PRIMARY KEY (image, tag)
);
CREATE INDEX IF NOT EXISTS created_by_digest ON created (image, digest);
"""
_PATIENCE = 0.2
"""Seconds that another process may hold the file; nothing else runs meanwhile."""


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
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._open()
        except (OSError, sqlite3.OperationalError) as error:
            raise PermanentError(
                f"cache {self._path}: {error}; state_dir must be a folder that we may write to"
            ) from error
        except sqlite3.DatabaseError as error:
            self._make_anew(error)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._db is not None:
            self._db.close()

    def known(self, image: str, tags: Collection[str]) -> Mapping[str, Candidate]:
        """Return what is known of *tags* of *image*."""
        rows = self._rows("SELECT tag, digest, created FROM created WHERE image = ?", image)
        return {
            tag: Candidate(tag=tag, digest=digest or None, created=_moment(created))
            for tag, digest, created in rows
            if tag in tags
        }

    def of_digests(self, image: str, digests: Collection[str]) -> Mapping[str, datetime | None]:
        """Return the creation times of *digests* of *image*, which other tags have led to."""
        query = "SELECT digest, created FROM created WHERE image = ? AND digest = ? LIMIT 1"
        rows = [row for digest in digests for row in self._rows(query, image, digest)]
        return {digest: _moment(created) for digest, created in rows}

    def keep(self, image: str, found: Collection[Candidate]) -> None:
        """Keep what was read of tags of *image*."""
        rows = [
            (image, one.tag, one.digest or "", one.created.isoformat() if one.created else "")
            for one in found
        ]
        try:
            with self._ours as db:
                db.executemany("INSERT OR REPLACE INTO created VALUES (?, ?, ?, ?)", rows)
        except sqlite3.DatabaseError as error:
            self._failed(error)

    def _rows(self, query: str, *values: str) -> list[tuple[str, ...]]:
        try:
            return self._ours.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            self._failed(error)
            return []

    def _failed(self, error: sqlite3.DatabaseError) -> None:
        """Go on without: a disk that is full may be so for a while, a broken file is for good."""
        if isinstance(error, sqlite3.OperationalError):
            logger.warning("cache unusable", path=str(self._path), reason=str(error))
        else:
            self._make_anew(error)

    def _make_anew(self, error: sqlite3.DatabaseError) -> None:
        logger.warning("cache unreadable, made anew", path=str(self._path), reason=str(error))
        if self._db is not None:
            self._db.close()
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(f"{self._path.name}{suffix}").unlink(missing_ok=True)
        self._open()

    @property
    def _ours(self) -> sqlite3.Connection:
        assert self._db is not None, "use it as a context manager"
        return self._db

    def _open(self) -> None:
        self._db = sqlite3.connect(self._path, timeout=_PATIENCE)
        # Losing the last second in a power failure costs requests only.
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.executescript(_SCHEMA)


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
