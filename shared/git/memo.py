"""What is remembered beside a mirror, in its folder: small texts by key, which outlive it."""

from pathlib import Path

NOTES = "flux"
"""Their folder."""


def memo(directory: Path, key: str, text: str | None) -> str:
    """Return what is noted under *key* beside git; with *text*, note that first, whole or not."""
    file = directory / NOTES / key
    if text is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f".{key}.new")
        new.write_text(text)
        new.replace(file)
        return text
    return file.read_text(errors="replace") if file.exists() else ""
