"""One row of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """A picture, its note and what they are."""

    id: str
    image: Path
    text: str
    label: str
    group: str
    """Samples of one group (a lesion, a patient) stay in one part of the split."""
    split: str = ""
    """The part that the data set itself assigns, or ""."""
