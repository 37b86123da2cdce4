"""What goes wrong while the sandbox is set up, told for the person who started it."""


class SandboxError(Exception):
    """A part of the sandbox cannot be had; the text names it, the reason and the remedy."""


class MissingError(SandboxError):
    """This machine does not have it, and nothing that we may do here would change that."""
