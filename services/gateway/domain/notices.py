"""Reads what webhooks send by `notify`: a branch moved, an image was pushed."""

from dataclasses import dataclass
from typing import Any

from services.gateway.domain.errors import bad_request
from services.gateway.domain.fields import Fields
from shared.images import ImageRef, InvalidReferenceError


@dataclass(frozen=True, slots=True, kw_only=True)
class GitChange:
    """A webhook says that a branch moved."""

    url: str
    branch: str
    """Empty for any; `refs/tags/x` for a tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageChange:
    """A webhook says that an image was pushed."""

    image: str
    """The canonical repository."""


def read_notify(body: Any) -> GitChange | ImageChange:
    """
    Read the body of `notify`.

    Raises:
        ApiError: 400, with what is wrong.
    """
    sent = Fields(body, "the body")
    source, kind = sent.object("Source"), sent.text("Kind")
    if kind == "git":
        return GitChange(url=source.text("URL"), branch=source.text("Branch"))
    if kind != "image":
        raise bad_request(f"Kind is {kind!r}; it must be git or image")
    name = source.object("Name")
    written = "/".join(filter(None, (name.text("Domain"), name.text("Image"))))
    try:
        return ImageChange(image=ImageRef.parse(written).canonical_repository)
    except InvalidReferenceError as error:
        raise bad_request(f"Source.Name: {error}") from error
