"""What ends a command, as a person reads it; the exit code is 1."""


class CommandError(Exception):
    """A sentence, printed behind `Error: `."""


class UsageError(CommandError):
    """Something was typed that can't be; *prog* is what to ask for help."""

    def __init__(self, sentence: str, prog: str) -> None:
        super().__init__(sentence)
        self.prog = prog


class RefusedError(CommandError):
    """The gateway refused, and says what to do; its text is printed as it is."""


class TimedOutError(CommandError):
    """What was waited for did not happen in time."""

    def __init__(self) -> None:
        super().__init__("timeout")
