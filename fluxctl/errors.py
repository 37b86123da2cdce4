"""What ends a command: a sentence for the person who typed it."""


class CommandError(Exception):
    """Printed as it is; the exit code is 1."""
