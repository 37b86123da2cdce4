"""A repository's files as a whole: found from below, packed with their modes, and changed."""

import io
import tarfile
from pathlib import Path

import pygit2
import pytest
from pygit2.enums import FileMode

from shared.git import objects, trees
from shared.runtime.errors import PermanentError


@pytest.fixture
def repository(tmp_path: Path) -> pygit2.Repository:
    return objects.opened(tmp_path / "mirror")


def tree(repository: pygit2.Repository, files: dict[str, bytes | None]) -> str:
    empty = str(repository.TreeBuilder().write())
    return trees.changed(repository, empty, files)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", ".flux.yaml"),
        ("b", ".flux.yaml"),
        ("a", "a/.flux.yaml"),
        ("a/deep/er", "a/.flux.yaml"),
        ("nowhere/at/all", ".flux.yaml"),
    ],
)
def test_the_nearest_file_of_a_name_is_at_a_path_or_above_never_below(
    repository: pygit2.Repository, path: str, found: str
) -> None:
    files: dict[str, bytes | None] = dict.fromkeys(
        (".flux.yaml", "a/.flux.yaml", "b/below/.flux.yaml", "a/deep/er/x"), b""
    )
    there = trees.nearest(repository, tree(repository, files), path, ".flux.yaml")
    assert there is not None
    assert there[0] == found
    assert trees.nearest(repository, tree(repository, {"x": b""}), path, ".flux.yaml") is None


def test_the_same_files_are_the_same_tree_and_one_that_is_gone_makes_another(
    repository: pygit2.Repository,
) -> None:
    one = tree(repository, {"a/b": b"1", "c": b"2"})
    other = trees.changed(repository, one, {"c": None})
    assert trees.root(repository, one) == one
    assert trees.changed(repository, other, {"c": b"2"}) == one
    assert other == tree(repository, {"a/b": b"1"})
    assert trees.changed(repository, other, {"a/b": None}) == tree(repository, {})


def test_files_are_packed_with_links_and_rights(repository: pygit2.Repository) -> None:
    builder = repository.TreeBuilder(repository[tree(repository, {"d/f": b"text"})])
    builder.insert("run.sh", repository.create_blob(b"#!/bin/sh"), FileMode.BLOB_EXECUTABLE)
    builder.insert("link", repository.create_blob(b"d/f"), FileMode.LINK)
    whole = str(builder.write())
    with tarfile.open(fileobj=io.BytesIO(trees.packed(repository, whole, 10_000))) as tar:
        members = {one.name: one for one in tar}
    assert set(members) == {"d", "d/f", "run.sh", "link"}
    assert members["link"].linkname == "d/f"
    assert members["run.sh"].mode & 0o100
    assert not members["d/f"].mode & 0o100


def test_too_many_bytes_are_refused(repository: pygit2.Repository) -> None:
    whole = tree(repository, {"a": b"x" * 600, "b": b"x" * 600})
    with pytest.raises(PermanentError, match="too many for generators"):
        trees.packed(repository, whole, 2_000)


@pytest.mark.parametrize(
    "path", ["../x", "/etc/x", "a//b", "a/./b", ".git/config", "a/.GIT/x", "link", "link/x", ""]
)
def test_what_is_no_plain_file_is_not_changed(repository: pygit2.Repository, path: str) -> None:
    builder = repository.TreeBuilder(repository[tree(repository, {"a/b": b"1"})])
    builder.insert("link", repository.create_blob(b"a"), FileMode.LINK)
    with pytest.raises(PermanentError, match=r"can't be a file|no plain file"):
        trees.changed(repository, str(builder.write()), {path: b"x"})
