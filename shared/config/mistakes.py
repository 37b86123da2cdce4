"""Mistakes in a configuration, as sentences for the one who wrote it."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.config.consistency import Keys
from shared.config.model import Config
from shared.runtime.errors import FluxError

_SENTENCES = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping of keys to values",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "invalid_key": "must be text; put it in quotes",
    "missing": "is missing",
    "model_type": "must be a mapping of keys to values",
    "path_type": "must be a path",
    "string_pattern_mismatch": "must be a DNS label: lower-case letters, digits, hyphens",
    "string_too_short": "must not be empty",
    "string_type": "must be text; put it in quotes",
    "too_short": "must not be empty",
    "tuple_type": "must be a list",
}
"""By pydantic's type of error; other types keep their own words."""


class ConfigError(FluxError):
    """All that is wrong with a configuration, a line each."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = list(mistakes)


def mistakes(error: ValidationError) -> Iterator[tuple[Keys, str]]:
    """Yield what *error* says, and where."""
    found = error.errors(include_url=False, include_context=True)
    for one in found:
        where = tuple(one["loc"])
        if not _follows(one, found):
            yield where, _sentence(one, where)


def _follows(error: ErrorDetails, found: Sequence[ErrorDetails]) -> bool:
    """Say whether a list is called too short only because its items are at fault."""
    where = error["loc"]
    return error["type"] == "too_short" and any(
        len(other["loc"]) > len(where) and other["loc"][: len(where)] == where for other in found
    )


def _sentence(error: ErrorDetails, where: Keys) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(str(where[-1]), _known(where[:-1]), n=1)
        return "unknown key" + (f"; did you mean {close[0]}?" if close else "")
    if error["input"] is None and kind != "missing":
        return "has no value"
    if kind == "model_type" and error.get("ctx", {}).get("class_name") == "SecretRef":
        return "a secret is not written here; give {file: ...} or {env: ...} where it is found"
    sentence = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return _SENTENCES.get(kind, sentence)


def _known(where: Keys) -> list[str]:
    """Return the keys that there are at a place."""
    model: Any = Config
    for key in where:
        if isinstance(key, str):
            model = _model(model.model_fields[key].annotation)
    return list(model.model_fields)


def _model(annotation: Any) -> Any:
    """Return the model within `tuple[Sync, ...]` or `SecretRef | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model, getattr(annotation, "__args__", ()))), None)
