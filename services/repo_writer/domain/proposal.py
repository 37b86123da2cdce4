"""The words of a pull request: what its commits say."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.repo_writer.domain import trailers

LONGEST = 30_000
"""Characters of a body; hosts take some 65,000."""
TITLE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A title and a body in Markdown."""

    title: str
    body: str


def proposal(messages: Sequence[str]) -> Proposal:
    """
    Return the words for commits with *messages*, the newest first.

    They stand as they are: in a block of code nobody is mentioned, and no link is one.
    """
    words = [trailers.words(message) for message in messages]
    subjects = [text.partition("\n")[0] for text in words]
    title = subjects[0] if len(subjects) == 1 else f"{len(subjects)} updates by Flux"
    text = "\n\n".join(words)
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}\n[...]"
    fence = "`" * max(3, _longest_run(text) + 1)
    return Proposal(title=title[:TITLE] or "Update by Flux", body=f"{fence}\n{text}\n{fence}\n")


def _longest_run(text: str) -> int:
    longest = run = 0
    for character in text:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    return longest
