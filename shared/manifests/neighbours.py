"""How what stands near a new annotation is written, for it is written so too."""

from shared.manifests.nodes import Place, entries
from shared.manifests.splice import write


def style(value: str, quotes: str, *, flow: bool = False) -> str:
    """Return the style for *value*: plain where it can be, else in *quotes*."""
    return "" if write(value, flow=flow) == value else quotes


def key_style(near: Place) -> str:
    """Return the quotes that all keys of a mapping have; a single one may need them."""
    styles = [key.style for key, _ in entries(near)]
    return styles[0] if styles and all(styles) else ""


def quote(near: Place) -> str:
    """Return the quotes that the values of a mapping have."""
    for _, value in entries(near) if near.is_mapping else ():
        if value.style in {"'", '"'}:
            return value.style
    return '"'


def space(text: str, near: Place) -> str:
    """Return what stands behind commas and colons: nothing in JSON that a machine has written."""
    if not (near.is_mapping and near.is_flow and key_style(near)):
        return " "
    key, value = entries(near)[0]
    return "" if value.start == key.end + 1 and text[key.end] == ":" else " "
