"""How a repository wants its commits: what of `flux.yaml` concerns their words and their number."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_PERSON = re.compile(r"(?P<name>[^<>]*)<(?P<email>[^<>]*)>\s*")
# What git itself leaves out of names and addresses, and what would end a line of a commit.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f<>\u2028\u2029\ud800-\udfff]")
_CRUD = " .,:;\"'\\"


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """The wishes; without any it is one commit a batch, in Flux v1's words."""

    commit: str = "batch"
    """batch | per-workload | per-image"""
    templates: Mapping[str, str] = field(default_factory=dict)
    """By kind of commit; empty: the built-in words."""
    ci_skip: str = ""
    """What each message ends with, for the host's own pipelines."""
    set_author: bool = False
    """Whether who gave an order is its author."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who made a commit; without an address it is the committer's."""

    name: str
    email: str


def person(user: str) -> Person | None:
    """Return whom `Name <address>` names, or only a name; None where no name is left."""
    found = _PERSON.fullmatch(user)
    name, email = (found["name"], found["email"]) if found else (user, "")
    name, email = (_UNSAFE.sub("", text).strip(_CRUD)[:200] for text in (name, email))
    return Person(name=name, email=email) if name else None
