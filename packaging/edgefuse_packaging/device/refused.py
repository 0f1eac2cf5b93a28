"""Why nothing is installed: a sentence, and an exit code, the same as edgefuse's."""

from __future__ import annotations

BAD_INPUT, DOES_NOT_FIT, INTERRUPTED = 2, 7, 130


class Refused(Exception):
    """A sentence that says why nothing is installed and what to do."""

    def __init__(self, sentence: str, exit_code: int = BAD_INPUT) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


class Failed(Refused):
    """A program that was started did not end well, for whatever reason."""
