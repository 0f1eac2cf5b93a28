"""What a sweep says: means and spread over seeds, the shift to take, and what noise alone would have given."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefuse.heads import Fusion
from edgefuse.sweep.cells import Result

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """What as many draws of noise as there are shifts would give at best, if no shift mattered."""

    deviation: float
    """Standard deviation over seeds, pooled over the shifts."""
    of_means: float
    """Expected best of the curve of means over the seeds."""
    of_single_runs: float
    """Expected best of a curve of single runs, one for each shift, as the paper's are."""


@dataclass(frozen=True)
class Curve:
    """One metric over the shifts, on validation rows."""

    mean: Doubles
    """(L,): over the seeds"""
    deviation: Doubles
    """(L,): sample standard deviation over the seeds; 0 where there is one"""
    noise: Noise | None
    """None with one seed, which tells nothing about noise."""


@dataclass(frozen=True)
class Swept:
    """The sweep of one kind of fusion."""

    fusion: Fusion
    shifts: tuple[float, ...]
    """(L,) ascending"""
    seeds: int
    accuracy: Curve
    macro_f1: Curve
    best: int
    """Number of the shift with the highest mean macro-F1 (of equals the one nearest to 0)."""
    chosen: int
    """Number of the shift to take: see `choose`."""


def judge(results: Iterable[Result]) -> list[Swept]:
    """What complete sweeps say: every shift has been trained with the same seeds, for each kind of fusion."""
    found: dict[Fusion, dict[float, list[Result]]] = {}
    for result in sorted(results, key=lambda result: result.cell):
        found.setdefault(result.cell.fusion, {}).setdefault(result.cell.shift, []).append(result)
    return [_judge(fusion, by_shift) for fusion, by_shift in found.items()]


def curve(values: Doubles) -> Curve:
    """The curve of values (L, S) of L shifts and S seeds."""
    count, seeds = values.shape
    if seeds == 1:
        return Curve(values[:, 0], np.zeros(count), None)
    deviation = values.std(axis=1, ddof=1)  # (L,)
    pooled = math.sqrt(np.mean(deviation**2))  # every shift has the same number of seeds
    overall, expected = float(values.mean()), expected_maximum(count)
    noise = Noise(pooled, overall + expected * pooled / math.sqrt(seeds), overall + expected * pooled)
    return Curve(values.mean(axis=1), deviation, noise)


def choose(shifts: Doubles, macro_f1: Curve, seeds: int) -> tuple[int, int]:
    """The numbers of the best shift and of the one to take, for shifts (L,).

    The rule of one standard error (Breiman, Friedman, Olshen and Stone 1984, section 3.4.3): of all shifts whose mean
    lies less than one standard error of a mean below the best, the simplest, which is the one nearest to 0; of two
    equally near, the better one. The standard error is the pooled deviation over the root of the number of seeds.
    """
    order = sorted(range(len(shifts)), key=lambda k: (-macro_f1.mean[k], abs(shifts[k])))
    best = order[0]
    error = 0.0 if macro_f1.noise is None else macro_f1.noise.deviation / math.sqrt(seeds)
    near = [k for k in order if macro_f1.mean[k] >= macro_f1.mean[best] - error]
    return best, min(near, key=lambda k: abs(shifts[k]))  # the first of equals, which is the better


def expected_maximum(count: int) -> float:
    """Expected largest of `count` independent standard normal draws: 1.889 of 21.

    E[max] = integral of x n phi(x) Phi(x)^(n - 1) dx (Tippett 1925; tables in Harter 1961), by the trapezoidal rule,
    which for such a smooth function that vanishes at both ends is as exact as its numbers.
    """
    x = np.linspace(-10, 10, 4001)
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    below = np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in x])
    return float(np.sum(x * count * density * below ** (count - 1)) * (x[1] - x[0]))


def _judge(fusion: Fusion, by_shift: dict[float, list[Result]]) -> Swept:
    shifts = tuple(by_shift)
    seeds = len(by_shift[shifts[0]])
    accuracy = curve(np.array([[result.accuracy for result in row] for row in by_shift.values()]))
    macro_f1 = curve(np.array([[result.macro_f1 for result in row] for row in by_shift.values()]))
    best, chosen = choose(np.array(shifts), macro_f1, seeds)
    return Swept(fusion, shifts, seeds, accuracy, macro_f1, best, chosen)
