"""What all parts of the configuration have in common."""

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Frozen, and strict about unknown keys: a typing mistake must not go unnoticed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
