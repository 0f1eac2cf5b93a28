"""One row of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """A picture, its note and what they are."""

    id: str
    image: Path
    text: str
    label: str
    """Its class; in a multilabel data set those that hold, joined by "|", or ""."""
    group: str
    """Samples of one group (a lesion, a patient) stay in one part of the split."""
    split: str = ""
    """The part that the data set itself assigns, or ""."""
    subgroups: Mapping[str, str] = field(default_factory=dict)
    """What figures are also given for apart, such as {"sex": "female"}; all samples have the same keys."""
    stratum: str = ""
    """What the paper's split keeps the shares of; "" where that is the label."""
    date: str = ""
    """Its day as YYYY-MM-DD, which a split in time goes by; "" where that means nothing."""
