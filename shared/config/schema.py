"""The JSON Schema of `flux.yaml`, for editors. It is checked in; see `python -m shared.config`."""

import json
from typing import Any

from shared.config.durations import go
from shared.config.model import Config


def schema() -> dict[str, Any]:
    """Return the schema."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "flux.schema.json",
        **_tidied(Config.model_json_schema()),
        "title": "flux.yaml",
    }


def _tidied(node: Any) -> Any:
    """Write the defaults of durations as people do, and leave out those that tell nothing."""
    if isinstance(node, list):
        return [_tidied(item) for item in node]
    if not isinstance(node, dict):
        return node
    tidied = {key: _tidied(value) for key, value in node.items() if key != "default"}
    default = node.get("default")
    if isinstance(default, float):
        tidied["default"] = go(default)
    elif default is not None and not isinstance(default, dict | list):
        tidied["default"] = default
    return tidied


def text() -> str:
    """Return the schema as it is checked in."""
    return json.dumps(schema(), indent=2) + "\n"
