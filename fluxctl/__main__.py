"""`fluxctl COMMAND`: exit code 0 if it was done, 1 if not."""

import os
import sys

from fluxctl.arguments import COMMANDS, parse
from fluxctl.client import Client
from fluxctl.errors import CommandError, RefusedError, UsageError

_HINT = "{} dead letter(s): messages that nobody could work on; see 'fluxctl dead-letters'"


def main() -> int:
    """Run the command that was typed; return the exit code."""
    prog = "fluxctl"
    try:
        args = parse(sys.argv[1:])
        prog = f"fluxctl {args.command}"
        client = Client(args.url, args.token)
        COMMANDS[args.command](client, args)
        sys.stdout.flush()
        if client.dead_letters and args.command != "dead-letters":
            print(_HINT.format(client.dead_letters), file=sys.stderr)
    except RefusedError as error:
        sys.stdout.flush()
        print(f"== Error ==\n\n{error}", file=sys.stderr)
        return 1
    except CommandError as error:
        sys.stdout.flush()
        asked = error.prog if isinstance(error, UsageError) else prog
        print(f"Error: {error}\nRun '{asked} --help' for usage.", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read our output has seen enough; what is left must not fail again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
