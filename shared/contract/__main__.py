"""`python -m shared.contract` writes `docs/asyncapi.yaml` and `docs/schemas/<type>.json`."""

import argparse
from pathlib import Path

from shared.contract import asyncapi, schemas

DOCS = Path(__file__).parents[2] / "docs"


def main(arguments: list[str] | None = None) -> None:
    """Write what is generated, and remove the schemas of types that are gone."""
    parser = argparse.ArgumentParser(prog="python -m shared.contract", description=__doc__)
    parser.add_argument("--docs", type=Path, default=DOCS, help="the folder to write to")
    docs = parser.parse_args(arguments).docs
    folder = docs / "schemas"
    folder.mkdir(parents=True, exist_ok=True)
    (docs / "asyncapi.yaml").write_text(asyncapi.text(), encoding="utf-8")
    files = schemas.files()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    for known in folder.glob("*.v[0-9]*.json"):
        if known.name not in files:
            known.unlink()


if __name__ == "__main__":
    main()
