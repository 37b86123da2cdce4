"""
`python -m shared.runtime.ready 8081`: is the service behind that port of loopback ready?

For health checks that run a command, as Docker's do. It prints what `/readyz` says, so that the
reason can be read where the check failed, and imports next to nothing: it runs every few seconds.
"""

import sys
from http.client import HTTPConnection, HTTPException

TIMEOUT = 3.0
"""Seconds."""


def main(arguments: list[str]) -> int:
    """Return 0 if it is ready, 1 if not, 2 for anything but one port."""
    if len(arguments) != 1 or not arguments[0].isdecimal():
        print("usage: python -m shared.runtime.ready PORT", file=sys.stderr)  # noqa: T201 - a command
        return 2
    status, said = _ask(int(arguments[0]))
    print(said.rstrip())  # noqa: T201 - a command
    return 0 if status == 200 else 1


def _ask(port: int) -> tuple[int, str]:
    try:
        connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, HTTPException) as error:
        return 0, f"nothing answers on 127.0.0.1:{port}: {error or type(error).__name__}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
