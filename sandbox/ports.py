"""Free TCP ports on loopback, for servers that cannot be told to choose one themselves."""

import random
import socket

# Below the range from which the kernel takes ports for outgoing connections: a client that
# tries again and again while its server is away could otherwise be given that very port, and
# then talks to itself.
_FIRST, _LAST = 15000, 32000
_given: set[int] = set()


def free_port() -> int:
    """Find a port that nobody listens on, and that this process has not yet given away."""
    while True:
        port = random.randint(_FIRST, _LAST)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
