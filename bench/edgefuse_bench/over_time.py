"""What changes while a kit is asked for minutes: memory that grows, answers that slow down."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse_bench.result import Query
from edgefuse_bench.spread import median_ns, rate, stretches
from edgefuse_bench.student import student

Doubles = NDArray[np.float64]

BLOCKS = 20
"""Of a timeline: their medians hide what a single answer takes and gives back, and are nearly independent."""
LEAST_RISE = 256 << 10
"""Bytes over half a run below which nothing is called a leak: the allocator's own pages come and go."""
SLICES = 12
"""Of a run, for its throughput over time."""
PARTS = 5
"""Of a run, of which the first and the last are compared; and stretches of each of these two."""
LEAST_SLOWING = 0.02
"""Below which a run is not called slower in the end."""
HOUR_NS = 3600 * 10**9


def growth(t_ns: Sequence[int], held_bytes: Sequence[int]) -> dict[str, Any] | None:
    """How fast memory grew: the slope through the medians of `BLOCKS` stretches of time, and whether it is a leak.

    A leak goes on: memory rises in the first half and in the second, each beyond the interval of its slope. What an
    allocator takes once and keeps is none. None where there are too few readings.
    """
    if len(t_ns) < 2 * BLOCKS:
        return None
    parts = np.array_split(np.column_stack([t_ns, held_bytes]).astype(np.float64), BLOCKS)
    blocks = np.array([np.median(part, axis=0) for part in parts])  # (BLOCKS, 2): time, bytes
    slope, (low, high) = _slope(blocks)
    halves = blocks[: BLOCKS // 2], blocks[BLOCKS // 2 :]
    rises = all(_slope(half)[1][0] > 0 for half in halves)
    later = halves[1][-1, 1] - halves[1][0, 1]
    return {
        "anon_bytes_per_hour": slope * HOUR_NS,
        "interval": [low * HOUR_NS, high * HOUR_NS],
        "from_bytes": int(blocks[0, 1]),
        "to_bytes": int(blocks[-1, 1]),
        "leak": bool(rises and later >= LEAST_RISE),
    }


def leak_sentence(found: dict[str, Any], queries: int) -> str:
    """What a leak is called in the notes."""
    rate, (low, high) = (
        found["anon_bytes_per_hour"] / 2**20,
        (value / 2**20 for value in found["interval"]),
    )
    rise = (found["to_bytes"] - found["from_bytes"]) / 2**20
    return (
        f"Memory leaks: it rose by {rise:.1f} MiB over {queries} answers and did not stop, {rate:.0f} MiB an hour "
        f"({low:.0f} to {high:.0f}); restart the program now and then, and report this."
    )


def throughput_over_time(queries: Sequence[Query]) -> list[dict[str, Any]]:
    """Samples a second in `SLICES` stretches of consecutive queries: {"t_ns", "samples_per_second"}."""
    return [{"t_ns": part[0].start_ns, "samples_per_second": rate(part)} for part in stretches(queries, SLICES) if part]


def slowing(queries: Sequence[Query]) -> dict[str, Any] | None:
    """How much longer an answer took in the last fifth of the run than in the first; None with too few queries."""
    if len(queries) < PARTS**2:
        return None
    fifths = stretches(queries, PARTS)
    early, late = ([math.log(median_ns(part)) for part in stretches(fifth, PARTS)] for fifth in (fifths[0], fifths[-1]))
    apart = statistics.fmean(late) - statistics.fmean(early)
    error = math.sqrt((statistics.variance(early) + statistics.variance(late)) / PARTS)
    reach = student(2 * PARTS - 2) * error
    low, high = math.exp(apart - reach), math.exp(apart + reach)
    return {"ratio": math.exp(apart), "interval": [low, high], "slowed": low > 1 + LEAST_SLOWING}


def slowing_sentence(found: dict[str, Any], meters: Sequence[dict[str, Any]]) -> str:
    """What a run that became slower is called in the notes, with what the thermometer said."""
    low, high = ((value - 1) * 100 for value in found["interval"])
    sentence = (
        f"Answers took {(found['ratio'] - 1) * 100:.0f} % longer in the last fifth of the run than in the first "
        f"({low:.0f} to {high:.0f} %)"
    )
    for meter in meters:
        if meter["name"] == "temperature" and len(meter.get("readings", ())) > 1:
            before, after = (meter["readings"][index]["value"] for index in (0, -1))
            return f"{sentence}; the temperature went from {before:.0f} to {after:.0f} °C."
    return f"{sentence}; whether heat is the reason cannot be told, for the temperature is not measurable here."


def _slope(points: Doubles) -> tuple[float, tuple[float, float]]:
    """Least squares through points (b, 2) and Student's interval of the slope (Davison, Statistical Models, 8.3)."""
    x, y = points[:, 0] - points[:, 0].mean(), points[:, 1] - points[:, 1].mean()  # (b,)
    squares = float(x @ x)
    slope = float(x @ y) / squares
    freedom = len(points) - 2
    error = math.sqrt(float(((y - slope * x) ** 2).sum()) / freedom / squares)
    reach = student(freedom) * error
    return slope, (slope - reach, slope + reach)
