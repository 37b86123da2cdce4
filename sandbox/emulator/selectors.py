"""Label and field selectors: what a list or a watch is limited to."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.emulator.answers import bad_request

Object = Mapping[str, Any]
Predicate = Callable[[Object], bool]

_KEY = r"(?P<key>[\w./-]+)"
_PATTERNS = (
    re.compile(rf"^{_KEY}\s*(?P<op>==|=|!=)\s*(?P<value>[\w.-]*)$"),
    re.compile(rf"^{_KEY}\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)$"),
    re.compile(rf"^(?P<op>!?)\s*{_KEY}$"),
)
_COMMA = re.compile(r",(?![^(]*\))")  # not those between parentheses
_FIELD = re.compile(r"^(?P<key>[\w.]+)(?P<op>==|=|!=)(?P<value>.*)$")


def selection(labels: str, fields: str) -> Predicate:
    """
    Return the test that *labels* and *fields* describe.

    Raises:
        ApiError: one of them cannot be read.
    """
    tests = [_label_test(part.strip()) for part in _COMMA.split(labels) if part.strip()]
    tests += [_field_test(part.strip()) for part in fields.split(",") if part.strip()]
    return lambda obj: all(test(obj) for test in tests)


def _label_test(text: str) -> Predicate:
    for pattern in _PATTERNS:
        if found := pattern.match(text):
            said = found.groupdict()
            break
    else:
        raise bad_request(f"unable to parse requirement: {text!r} is no label selector")
    key, op = said["key"], said["op"]
    wanted = {value.strip() for value in (said.get("values") or said.get("value") or "").split(",")}
    has = {"": True, "!": False}
    if op in has:
        return lambda obj: (key in _labels(obj)) is has[op]
    if op in ("!=", "notin"):
        return lambda obj: _labels(obj).get(key) not in wanted
    return lambda obj: _labels(obj).get(key) in wanted


def _field_test(text: str) -> Predicate:
    found = _FIELD.match(text)
    if not found:
        raise bad_request(f"invalid field selector {text!r}: use =, == or !=")
    steps, wanted = found["key"].split("."), found["value"]
    negative = found["op"] == "!="
    return lambda obj: (str(_at(obj, steps)) == wanted) is not negative


def _labels(obj: Object) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}


def _at(obj: Any, steps: list[str]) -> Any:
    for step in steps:
        obj = obj.get(step, "") if isinstance(obj, Mapping) else ""
    return obj
