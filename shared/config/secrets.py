"""References to secrets: a file or an environment variable, never the value itself."""

import os
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from shared.runtime.errors import PermanentError


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

    def read(self) -> str:
        """
        Return the secret.

        Raises:
            PermanentError: it is not there; the sentence names the place.
        """
        if self.file is not None:
            try:
                return self.file.read_text().rstrip("\n")
            except OSError as error:
                raise PermanentError(f"secret file {self.file}: {error.strerror}") from error
        value = os.environ.get(self.env or "")
        if not value:
            raise PermanentError(f"environment variable {self.env} is not set, and holds a secret")
        return value
