"""What the harness asks a measured process to do, and where that one writes what came out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from edgefuse_runtimes.files import write_json

ORDER, LOG, OUTCOME, ANSWERS, GOLDEN = "order.json", "queries.bin", "outcome.json", "answers.npy", "golden.npz"
"""Files in the order's folder: itself, queries, what else there is to tell, probabilities (n, K), golden vectors."""


@dataclass(frozen=True)
class Sample:
    """A picture, a note, or both."""

    image: str | None
    """The picture's path."""
    text: str | None
    """The note's words."""


@dataclass(frozen=True)
class Order:
    """One process's part of a run."""

    folder: str
    """Where the process writes."""
    kit: str
    scenario: str
    """LoadGen's word, one of `result.SCENARIOS`."""
    engine: str
    threads: int | None
    precision: str | None
    samples: Sequence[Sample]
    first: int
    """Number of the first query: query n is asked sample n modulo their number."""
    warmup: int
    queries: int
    seconds: float | None
    """Sustained: how long to go on."""
    asks_golden: bool = False
    """Whether to answer the golden samples in the end, for their vectors."""
    names_files: bool = False
    """Whether to tell which files are in use."""

    def write(self) -> Path:
        """Write the order into its folder, which only this user can read: arguments of a command all users can."""
        path = Path(self.folder) / ORDER
        write_json(path, asdict(self))
        return path

    @classmethod
    def read(cls, path: Path) -> Order:
        """Inverse of `write`."""
        data = json.loads(path.read_bytes())
        return cls(**{**data, "samples": [Sample(**sample) for sample in data["samples"]]})
