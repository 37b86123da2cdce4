"""`python -m shared.config check` looks for mistakes, `schema` prints the JSON Schema."""

import argparse
import sys
from pathlib import Path

from shared.config import schema
from shared.config.load import ConfigError, load


def main(arguments: list[str] | None = None) -> int:
    """Return 0, or 2 where the configuration can't be used."""
    parser = argparse.ArgumentParser(prog="python -m shared.config", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("schema", help="print the JSON Schema of flux.yaml")
    check = commands.add_parser("check", help="print ok, or every mistake")
    check.add_argument("--config", type=Path, default=Path("flux.yaml"), help="default: flux.yaml")
    options = parser.parse_args(arguments)
    if options.command == "schema":
        sys.stdout.write(schema.text())
        return 0
    try:
        load(options.config)
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - what was asked for
        return 2
    print("ok")  # noqa: T201 - what was asked for
    return 0


if __name__ == "__main__":
    sys.exit(main())
