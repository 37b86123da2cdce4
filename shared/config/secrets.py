"""
References to secrets: a file or an environment variable, never the value itself.

What was read is remembered, so that logs can mask it wherever it turns up (`known`).
"""

import os
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from shared.runtime.errors import PermanentError

_known: set[str] = set()


class SecretRef(BaseModel):
    """Where a secret is found. Read it as late as possible; files may be rotated."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    file: Path | None = None
    """A file whose content, without the last line feed, is the secret."""
    env: str | None = None
    """The name of an environment variable."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.file is None) == (self.env is None):
            raise ValueError("give exactly one of file and env")
        return self

    def is_given(self) -> bool:
        """Tell whether it was given: a variable may be left out where something else will do."""
        return self.env is None or bool(os.environ.get(self.env))

    def read(self) -> str:
        """
        Return the secret.

        Raises:
            PermanentError: it is not there; the sentence names the place.
        """
        value = self._value()
        _known.add(value)
        return value

    def _value(self) -> str:
        if self.file is not None:
            try:
                value = self.file.read_text().rstrip("\n")
            except OSError as error:
                raise PermanentError(f"secret file {self.file}: {error.strerror}") from error
            except UnicodeDecodeError as error:
                raise PermanentError(f"secret file {self.file}: it is not UTF-8 text") from error
            if not value:
                raise PermanentError(f"secret file {self.file} is empty")
            return value
        value = os.environ.get(self.env or "", "")
        if not value:
            raise PermanentError(f"environment variable {self.env} is not set, and holds a secret")
        return value


def known() -> frozenset[str]:
    """Return every secret that this process has read; for masking only."""
    return frozenset(_known)
