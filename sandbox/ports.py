"""Free TCP ports on loopback, for servers that cannot be told to choose one themselves."""

import errno
import random
import socket

# Below the range from which the kernel takes ports for outgoing connections: a client that
# tries again and again while its server is away could otherwise be given that very port, and
# then talks to itself.
_FIRST, _LAST = 15000, 32000
_given: dict[int, socket.socket] = {}
"""With the mark by which other processes know that it is given away; it is gone with this one."""


def free_port() -> int:
    """Find a port that nobody listens on, and that no sandbox's process has given away."""
    while True:
        port = random.randint(_FIRST, _LAST)
        if port not in _given and _is_marked(port) and _is_free(port):
            return port


def _is_marked(port: int) -> bool:
    """Mark *port* as ours: who listens there may not do so yet, or be away for a while."""
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        mark.bind(f"\0flux-port-{port}")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            mark.close()
            return False
        # Only Linux has such names; elsewhere the port is only known to this process.
    _given[port] = mark
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
