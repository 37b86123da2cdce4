"""`fluxctl COMMAND`: exit code 0 if it was done, 1 if not, 2 for options that can't be."""

import sys

from fluxctl.arguments import parse
from fluxctl.client import Client
from fluxctl.commands import COMMANDS
from fluxctl.errors import CommandError


def main() -> int:
    """Run the command that was typed; return the exit code."""
    args = parse(sys.argv[1:])
    try:
        COMMANDS[args.command](Client(args.url, args.token), args)
    except CommandError as error:
        print(f"Error: {error}", file=sys.stderr)
        print(f"Run 'fluxctl {args.command} --help' for usage.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
