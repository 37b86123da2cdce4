"""
What is asked of the renderer and what it answers: JSON, beside a tar of a repository's files.

It is no message on the bus: a tree may have megabytes, and the renderer has no broker user.
"""

from pydantic import BaseModel, ConfigDict, Field

PATH = "/v1/run"
ORDER, TREE = "order", "tree"
"""The parts of the form that is posted: what to run, and the tar."""
LARGEST_TREE = 64 * 2**20
LARGEST_OUTPUT = 8 * 2**20
"""Bytes, of one command, and of all changed files together."""
LARGEST_ANSWER = 64 * 2**20


class Part(BaseModel):
    """Frozen, and strict about what it does not know: both sides are of one version."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        ser_json_bytes="base64",
        val_json_bytes="base64",
    )


class Run(Part):
    """One line for `/bin/sh`."""

    command: str = Field(min_length=1)
    timeout: float = Field(gt=0)
    """Seconds."""
    environment: dict[str, str] | None = None
    """All that it sees beside PATH and HOME; None: what the renderer's owner passes on."""


class Order(Part):
    """Commands to run one after the other in a tree."""

    folder: str = ""
    """Where in the tree they run."""
    runs: tuple[Run, ...]
    changes: bool = False
    """Whether to tell what they have changed in the tree, instead of what they print."""


class Done(Part):
    """What came of an order."""

    outputs: tuple[bytes, ...] = ()
    """What each command printed."""
    changed: dict[str, bytes | None] = {}
    """New contents of files, by their paths in the tree; None: it is gone."""


class Failed(Part):
    """Why an order was not carried out."""

    number: int | None = None
    """Which command failed, from 1; None: none of them."""
    reason: str
    stderr: str = ""
    """The last lines that the command wrote there."""
