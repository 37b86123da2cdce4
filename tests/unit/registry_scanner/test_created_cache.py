"""Creation times are kept for good, and a broken file costs requests and nothing else."""

import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from services.registry_scanner.created_cache import CreatedCache
from shared.images import Candidate
from shared.runtime.errors import PermanentError

START = datetime(2026, 1, 1, tzinfo=UTC)
FOUND = [
    Candidate(tag="a", digest="sha256:1", created=START),
    Candidate(tag="b", digest="sha256:2", created=START.astimezone(timezone(timedelta(hours=9)))),
    Candidate(tag="none", digest="sha256:3"),
]


def kept(path: Path) -> Path:
    with CreatedCache(path) as cache:
        cache.keep("image", FOUND)
    return path


def test_what_was_kept_is_known_to_the_next_process_by_image_tag_and_digest(
    tmp_path: Path,
) -> None:
    with CreatedCache(kept(tmp_path / "state" / "created.sqlite")) as cache:
        assert dict(cache.known("image", {"a", "b", "none", "new"})) == {
            one.tag: one for one in FOUND
        }
        assert set(cache.known("image", {"a"})) == {"a"}
        assert cache.known("other", {"a"}) == {}
        assert cache.of_digests("image", ["sha256:1", "sha256:3", "sha256:9"]) == {
            "sha256:1": START,
            "sha256:3": None,
        }
        assert cache.of_digests("other", ["sha256:1"]) == {}


def test_a_file_that_is_no_database_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "created.sqlite"
    path.write_bytes(b"no database" * 1000)
    with CreatedCache(path) as cache:
        assert cache.known("image", {"a"}) == {}
        cache.keep("image", FOUND)
        assert set(cache.known("image", {"a"})) == {"a"}


def test_a_file_that_is_found_broken_while_it_is_used_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "created.sqlite"
    with CreatedCache(path) as cache:
        cache.keep("image", [Candidate(tag=f"{n}", digest="d" * 99) for n in range(5000)])
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    with CreatedCache(path) as cache:
        assert cache.known("image", {"1"}) == {}
        cache.keep("image", FOUND)
        assert set(cache.known("image", {"a"})) == {"a"}


def test_a_file_that_another_process_holds_is_gone_without_and_not_deleted(
    tmp_path: Path,
) -> None:
    path = kept(tmp_path / "created.sqlite")
    other = sqlite3.connect(path)
    with CreatedCache(path) as cache:
        other.execute("BEGIN EXCLUSIVE")
        cache.keep("image", [Candidate(tag="new", digest="sha256:9", created=START)])
        assert set(cache.known("image", {"a", "new"})) == {"a"}
        other.rollback()
        assert set(cache.known("image", {"a"})) == {"a"}
    other.close()


def test_a_place_where_nothing_can_be_kept_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PermanentError, match=r"file.*state_dir must be a folder"):
        CreatedCache(tmp_path / "file" / "created.sqlite").__enter__()
