"""The ratio of two medians, and how far noise may have moved it.

Neighbouring queries are alike: a clock that drops or a program that wakes slows many of them in a row. An interval that
takes each query for a witness of its own is then far too narrow. So the witnesses are

- whole runs, where a configuration was run more than once: what differs from process to process is in their spread;
- otherwise a run's `BATCHES` stretches of consecutive queries (the method of batch means: Law, Simulation Modeling and
  Analysis, section 9.5.3), which sees what changes within the run and nothing that changes from run to run.

Spread is taken on the logarithm, over both sides together, and the interval is Student's for two means.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
"""Of every interval."""
BATCHES = 8
"""Stretches of a single run; long enough to be nearly independent, enough of them for a spread."""
LEAST = 2 * BATCHES
"""Queries that a single run needs for an interval."""

Doubles = NDArray[np.float64]
Runs = Sequence[Sequence[float]]
"""Values above 0 of each run of one configuration, in the order they were measured."""
Estimate = tuple[float, tuple[float, float]]
"""A value above 0 and its interval."""


@dataclass(frozen=True)
class Ratio:
    """A candidate's value over the baseline's: below 1 it is less."""

    value: float
    interval: tuple[float, float] | None
    """Of level `LEVEL`; None where there is nothing to tell the noise by."""


def ratio(baseline: Runs, candidate: Runs) -> Ratio:
    """The ratio of the medians of two configurations; of several runs, of the geometric means of their medians."""
    sides = [np.array([_log_median(run) for run in runs]) for runs in (baseline, candidate)]  # (r,) each
    apart = float(sides[1].mean() - sides[0].mean())
    if all(len(side) == 1 for side in sides):
        if min(len(baseline[0]), len(candidate[0])) < LEAST:
            return Ratio(math.exp(apart), None)
        sides = [_batches(runs[0]) for runs in (baseline, candidate)]  # (BATCHES,) each
    reach = _reach(*sides)
    return Ratio(math.exp(apart), (math.exp(apart - reach), math.exp(apart + reach)))


def ratio_of_estimates(baseline: Estimate, candidate: Estimate) -> Ratio:
    """The ratio of two figures that each bring an interval of their own, of level `LEVEL`."""
    apart = math.log(candidate[0] / baseline[0])
    reach = math.hypot(*(math.log(high / low) / 2 for _, (low, high) in (baseline, candidate)))
    return Ratio(math.exp(apart), (math.exp(apart - reach), math.exp(apart + reach)))


def student(freedom: int, level: float = LEVEL) -> float:
    """What Student's t of `freedom` degrees stays within, either side of 0, with probability `level`.

    The probability is a finite sum in the angle atan(t / sqrt(freedom)) (Abramowitz and Stegun, 26.7.3 and 26.7.4).
    """
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        angle = (low + high) / 2
        low, high = (angle, high) if _within(angle, freedom) < level else (low, angle)
    return math.sqrt(freedom) * math.tan(low)


def _log_median(values: Sequence[float] | Doubles) -> float:
    return float(np.log(np.median(values)))


def _batches(run: Sequence[float]) -> Doubles:
    return np.array([_log_median(part) for part in np.array_split(np.asarray(run, np.float64), BATCHES)])


def _reach(one: Doubles, other: Doubles) -> float:
    """Half the width of the interval of the difference of the means of (a,) and (b,) witnesses."""
    freedom = len(one) + len(other) - 2
    squares = sum(float(((side - side.mean()) ** 2).sum()) for side in (one, other))
    return student(freedom) * math.sqrt(squares / freedom * (1 / len(one) + 1 / len(other)))


def _within(angle: float, freedom: int) -> float:
    sine, cosine = math.sin(angle), math.cos(angle)
    if freedom % 2:
        term, total = cosine, 0.0
        for k in range(1, freedom - 1, 2):  # 1, 3, ..., freedom - 2
            total += term
            term *= cosine**2 * (k + 1) / (k + 2)
        return 2 / math.pi * (angle + sine * total)
    term, total = 1.0, 0.0
    for k in range(0, freedom - 1, 2):  # 0, 2, ..., freedom - 2
        total += term
        term *= cosine**2 * (k + 1) / (k + 2)
    return sine * total
