"""What is wrong with rows of a file: all of them are looked at, so that one sentence tells how many there are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgefuse_runtimes.errors import BadInput

NAMED = 3
"""Rows that a sentence names."""


@dataclass
class Complaints:
    """Faults of a file's rows, the first few of each kind by name."""

    path: Path
    found: dict[str, list[str]] = field(default_factory=dict)
    """By kind, the first rows."""
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, fault: str, row: str) -> None:
        """Note that `row` has the fault, a clause such as "hold NaN or infinite numbers"."""
        named = self.found.setdefault(fault, [])
        if len(named) < NAMED:
            named.append(row)
        self.counts[fault] = self.counts.get(fault, 0) + 1

    def check(self) -> None:
        """Go on if there was nothing to complain of.

        Raises:
            BadInput: there was; the fault that was met first is told, with its first rows and how many have it.
        """
        if not self.found:
            return
        fault, named = next(iter(self.found.items()))
        more = ", ..." if self.counts[fault] > len(named) else ""
        others = sum(self.counts.values()) - self.counts[fault]
        beside = f" ({others} rows have other faults)" if others else ""
        raise BadInput(
            f"{self.counts[fault]} rows of {self.path} {fault}: {', '.join(named)}{more}{beside}; "
            "correct or remove them."
        )
