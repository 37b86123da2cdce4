"""
Reads `flux.yaml` and reports all its mistakes together, each with its line.

Read `document` for lines, `environment` for overrides, `mistakes` and `consistency` for sentences.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from shared.config.consistency import Keys, contradictions
from shared.config.document import Document, InvalidYamlError, parse
from shared.config.environment import Overrides
from shared.config.mistakes import ConfigError, mistakes
from shared.config.model import Config

__all__ = ["ConfigError", "load"]


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """
    Return the configuration at *path*, with the overrides of *environment*.

    Paths in it are relative to the file; without a generation it has the time of its last change.

    Raises:
        ConfigError: with every mistake.
    """
    text, changed = _read(path)
    document = _parse(path, text)
    overrides = Overrides(document.values, environment)
    config, found = _validated(overrides.values)
    told = _told(path, document, overrides, found)
    if config is None or told:
        raise ConfigError(told)
    return _placed(config, path.absolute().parent).dated(changed)


def _read(path: Path) -> tuple[str, int]:
    """Return the text, and when it was changed."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.read(), int(os.fstat(file.fileno()).st_mtime)
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: it is not UTF-8 text"]) from error
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}; name your file by --config"]) from error


def _parse(path: Path, text: str) -> Document:
    try:
        document = parse(text)
    except InvalidYamlError as error:
        place = f"{path}:{error.line}" if error.line else str(path)
        raise ConfigError([f"{place}: no valid YAML: {error}"]) from error
    if not isinstance(document.values, dict):
        raise ConfigError([f"{path}:1: a mapping is expected, with the key syncs"])
    return document


def _validated(values: Any) -> tuple[Config | None, list[tuple[Keys, str]]]:
    found = list(contradictions(values))
    try:
        return Config.model_validate(values), found
    except ValidationError as error:
        # The model finds contradictions too, but can't say where: that is what () stands for.
        return None, [*found, *((at, what) for at, what in mistakes(error) if at or not found)]


def _told(
    path: Path, document: Document, overrides: Overrides, found: list[tuple[Keys, str]]
) -> list[str]:
    """Return a sentence for each mistake: those of the file by their lines, then the others."""
    variables = [*overrides.mistakes]
    lines = list(_twice(path, document))
    for where, what in found:
        sentence = f"{'.'.join(map(str, where))}: {what}" if where else what
        variable = overrides.variable(where)
        if variable is not None:
            variables.append(f"{variable}: {sentence}")
        else:
            line = document.line(where)
            lines.append((line, f"{path}:{line}: {sentence}"))
    return [sentence for _, sentence in sorted(lines, key=lambda one: one[0])] + variables


def _twice(path: Path, document: Document) -> Iterator[tuple[int, str]]:
    for where, first in document.twice.items():
        line = document.lines[where]
        named = ".".join(map(str, where))
        yield line, f"{path}:{line}: {named}: is given twice, first in line {first}"


_M = TypeVar("_M", bound=BaseModel)


def _placed(model: _M, base: Path) -> _M:
    """Make every path in *model* relative to *base*."""
    values = {name: _at(value, base) for name, value in model}
    return model.model_copy(update=values)


def _at(value: Any, base: Path) -> Any:
    if isinstance(value, Path):
        return base / value.expanduser()
    if isinstance(value, BaseModel):
        return _placed(value, base)
    return tuple(_at(one, base) for one in value) if isinstance(value, tuple) else value
