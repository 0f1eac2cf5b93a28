"""What can go wrong, as few classes as exit codes. Every message is one sentence: what, where, what to do."""


class EdgefuseError(Exception):
    """Base of every error that edgefuse raises on purpose; `exit_code` is what the command line ends with."""

    exit_code = 1


class BadInput(EdgefuseError):
    """A picture, note, table, kit, file or option that cannot be used as given."""

    exit_code = 2


class QualityGate(EdgefuseError):
    """What was made is not as good as was asked for, so it was not kept."""

    exit_code = 3


class TooSlow(EdgefuseError):
    """What was measured takes more time or memory than was allowed."""

    exit_code = 5


class NotStored(EdgefuseError):
    """An answer was given, and all or part of it could not be kept; `number` is that of an answer kept in part."""

    exit_code = 6

    def __init__(self, sentence: str, number: int | None = None) -> None:
        super().__init__(sentence)
        self.number = number


class DoesNotFit(EdgefuseError):
    """The work needs more memory or disk than there is."""

    exit_code = 7


class EngineUnavailable(EdgefuseError):
    """An engine that is not installed, died, hung or answered wrongly; another engine may take over."""


class EngineInterrupted(EngineUnavailable):
    """An engine was stopped from outside, not started, too slow or out of memory: the machine may be to blame."""
