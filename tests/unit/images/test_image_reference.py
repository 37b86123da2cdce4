"""Image references keep their spelling, and know what it implies."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.images import ImageRef, InvalidReferenceError

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "canonical", "host", "tag"),
    [
        ("nginx", "index.docker.io/library/nginx", "registry-1.docker.io", None),
        ("nginx:1.20", "index.docker.io/library/nginx", "registry-1.docker.io", "1.20"),
        ("docker.io/nginx", "index.docker.io/library/nginx", "registry-1.docker.io", None),
        ("index.docker.io/a/b:x", "index.docker.io/a/b", "registry-1.docker.io", "x"),
        ("acme/web:v1", "index.docker.io/acme/web", "registry-1.docker.io", "v1"),
        ("a/b/c", "index.docker.io/a/b/c", "registry-1.docker.io", None),
        ("ghcr.io/acme/web:v1", "ghcr.io/acme/web", "ghcr.io", "v1"),
        ("registry:5000/img", "registry:5000/img", "registry:5000", None),
        ("registry:5000/img:1", "registry:5000/img", "registry:5000", "1"),
        ("localhost/img", "localhost/img", "localhost", None),
        ("localhost:5000/a/b:1", "localhost:5000/a/b", "localhost:5000", "1"),
        ("[::1]:5000/a:1", "[::1]:5000/a", "[::1]:5000", "1"),
        ("GHCR.io/a", "ghcr.io/a", "GHCR.io", None),
        (f"a/b:1@{DIGEST}", "index.docker.io/a/b", "registry-1.docker.io", "1"),
        (f"a/b@{DIGEST}", "index.docker.io/a/b", "registry-1.docker.io", None),
    ],
)
def test_what_is_written_stays_and_what_is_implied_is_known(
    text: str, canonical: str, host: str, tag: str | None
) -> None:
    ref = ImageRef.parse(text)
    assert str(ref) == text
    assert (ref.canonical_repository, ref.registry_host, ref.tag) == (canonical, host, tag)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it has no name"),
        ("/a", "is no repository name"),
        ("a/", "is no repository name"),
        ("a:", "is no tag"),
        ("a:b:c", "is no host name|is no repository name"),
        ("Acme", "upper case"),
        ("ghcr.io/Acme/web:1", "upper case"),
        ("a b", "is no repository name"),
        ("a:-x", "is no tag"),
        ("a:" + "x" * 129, "is no tag"),
        ("a@sha256:12", "is no digest"),
        ("a@", "is no digest"),
        ("-host.io/a", "is no host name"),
        ("a/" + "b" * 255, "longer than 255"),
        ("nginx\n", "is no repository name"),
    ],
)
def test_a_bad_reference_is_refused_with_the_part_at_fault(text: str, why: str) -> None:
    with pytest.raises(InvalidReferenceError, match=why):
        ImageRef.parse(text)


def test_a_new_tag_keeps_the_spelling_and_drops_the_digest() -> None:
    ref = ImageRef.parse(f"docker.io/nginx:1@{DIGEST}")
    assert str(ref.with_tag("2")) == "docker.io/nginx:2"
    assert ref.same_repository(ImageRef.parse("nginx"))
    with pytest.raises(InvalidReferenceError):
        ref.with_tag("not a tag")


@given(st.text())
def test_any_text_is_a_reference_as_written_or_refused(text: str) -> None:
    with suppress(InvalidReferenceError):
        assert str(ImageRef.parse(text)) == text
