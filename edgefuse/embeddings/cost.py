"""What the encoders cost: the time and memory that a table's vectors took, kept beside it in `cost.json`.

Under "image", "text" and, where views of pictures were encoded one by one, "views" are the sums over `runs`, which has
one entry for each way the encoder was run: engine, version, precision, threads and machine. An interrupted extraction
adds to the entries that are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edgefuse.card import machine_words
from edgefuse.embeddings.mapped import VectorKind
from edgefuse_runtimes.contract import Encoder
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import read_json, write_json
from edgefuse_runtimes.machine import process_memory

FILE = "cost.json"
COSTS: tuple[tuple[VectorKind, str, str], ...] = (
    ("text", "text", "notes"),
    ("image", "image", "pictures"),
    ("views", "image", "views"),
)
"""Of each kind of vectors the encoder, and what it encoded, in words."""


@dataclass(frozen=True)
class Spent:
    """What some samples took, on one machine and in one way."""

    engine: str
    version: str
    precision: str
    threads: int | None
    """None: as numpy's BLAS chose."""
    machine: str
    distinct: int
    """Samples that the encoder ran for: equal notes are encoded once."""
    seconds: float
    """Of the encoder and what feeds it, opening it not counted; of several processes, their sum."""
    peak_rss_bytes: int
    """The most that this process, and the engine's where it has its own, can have held while the encoder was open."""


WAY = ("engine", "version", "precision", "threads", "machine")
"""What is the same in all that one entry of `runs` sums up."""


def spent(encoder: Encoder, distinct: int, seconds: float) -> Spent:
    """What the open encoder took until now for `distinct` samples."""
    info = encoder.info()
    worker = info.get("pid")
    peak = process_memory().peak_rss_bytes + (process_memory(worker).peak_rss_bytes if worker else 0)
    way = {name: info.get(name) for name in ("engine", "version", "precision", "threads")}
    return Spent(
        **way,  # type: ignore[arg-type]  # plain JSON types, as the contract says
        machine=machine_words(),
        distinct=distinct,
        seconds=seconds,
        peak_rss_bytes=peak,
    )


def read_cost(folder: Path) -> dict[str, Any]:
    """The content of a table's `cost.json`; {} where it has none.

    Raises:
        BadInput: the file is damaged.
    """
    path, remedy = folder / FILE, "remove it, and the table has no cost"
    if not path.is_file():
        return {}
    cost = read_json(path, remedy)
    try:
        for of in cost.values():
            total(of["samples"], [Spent(**run) for run in of["runs"]])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path} is damaged ({type(error).__name__}: {error}); {remedy}.") from error
    return cost


def add_cost(folder: Path, kind: VectorKind, samples: int, more: Sequence[Spent]) -> None:
    """Add to the table's `cost.json` what further rows took; the file is whole at any time.

    Args:
        folder: of the table.
        kind: of the vectors.
        samples: rows that got theirs.
        more: what the encoder took for them.
    """
    cost = read_cost(folder)
    before = cost.get(kind, {"samples": 0, "runs": []})
    runs = [*(Spent(**run) for run in before["runs"]), *more]
    if runs:
        write_json(folder / FILE, cost | {kind: total(before["samples"] + samples, runs)})


def total(samples: int, parts: Sequence[Spent]) -> dict[str, Any]:
    """One kind of vectors in `cost.json`: sums, the largest peak, and the ways they come from.

    `threads` is None where they differ; other words that differ are joined by ", ".
    """
    ways: dict[tuple[Any, ...], Spent] = {}
    for part in parts:
        way = tuple(getattr(part, name) for name in WAY)
        ways[way] = _sum(ways[way], part) if way in ways else part
    runs = list(ways.values())
    threads = {run.threads for run in runs}
    distinct = sum(run.distinct for run in runs)
    seconds = sum(run.seconds for run in runs)
    words = {name: ", ".join(dict.fromkeys(getattr(run, name) for run in runs)) for name in WAY if name != "threads"}
    return words | {
        "threads": threads.pop() if len(threads) == 1 else None,
        "samples": samples,
        "distinct": distinct,
        "seconds": round(seconds, 3),
        "seconds_per_sample": round(seconds / distinct, 6) if distinct else None,
        "peak_rss_bytes": max(run.peak_rss_bytes for run in runs),
        "runs": [asdict(run) | {"seconds": round(run.seconds, 3)} for run in runs],
    }


def cost_sentences(cost: Mapping[str, Any]) -> list[str]:
    """What the encoders took, in words."""
    sentences = []
    for kind, name, noun in COSTS:
        if kind in cost:
            of = cost[kind]
            sentences.append(
                f"The {name} encoder ({of['engine']}, {of['precision']}) took {of['seconds']:.1f} s for "
                f"{of['distinct']} {noun} of {of['samples']} rows, {of['seconds_per_sample'] or 0:.3f} s each, and "
                f"{of['peak_rss_bytes'] / 2**20:.0f} MiB at the most."
            )
    return sentences


def _sum(one: Spent, other: Spent) -> Spent:
    return replace(
        one,
        distinct=one.distinct + other.distinct,
        seconds=one.seconds + other.seconds,
        peak_rss_bytes=max(one.peak_rss_bytes, other.peak_rss_bytes),
    )
