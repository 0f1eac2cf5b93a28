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

CHANCE = 0.05
"""A best that chance gives more often does not speak for any shift."""


@dataclass(frozen=True)
class Noise:
    """What the best of as many shifts would reach by noise alone, if no shift mattered.

    Every shift is trained with the same seeds, and a seed's start values and batches are good or bad for all shifts
    alike. So two deviations are told: with the seed's own effect, which single runs have, and without, which is all
    that moves the means over the same seeds against one another.
    """

    deviation: float
    """Standard deviation over seeds, pooled over the shifts."""
    residual: float
    """Standard deviation of what neither the shift nor the seed explains (two-way analysis of variance)."""
    lead: float
    """How far the best mean leads the mean of all by chance: `expected_maximum` * residual / sqrt(seeds)."""
    of_means: float
    """Expected best of the curve of means: overall mean + lead."""
    of_single_runs: float
    """Expected best of a curve of independent single runs, as the paper's are: overall mean + `expected_maximum` *
    deviation."""
    chance: float
    """How often the best mean is as high as the one found if no shift matters, between 0 and 1: see `by_chance`."""


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
    mean = values.mean(axis=1)  # (L,)
    if seeds == 1:
        return Curve(mean, np.zeros(count), None)
    deviation = values.std(axis=1, ddof=1)  # (L,)
    pooled = math.sqrt(np.mean(deviation**2))  # every shift has the same number of seeds
    overall, expected = float(values.mean()), expected_maximum(count)
    rest = values - mean[:, None] - values.mean(axis=0) + overall  # (L, S)
    residual = math.sqrt(np.sum(rest**2) / max((count - 1) * (seeds - 1), 1))
    lead = expected * residual / math.sqrt(seeds)
    single = overall + expected * pooled
    return Curve(mean, deviation, Noise(pooled, residual, lead, overall + lead, single, by_chance(values)))


def by_chance(values: Doubles, draws: int = 2000) -> float:
    """The share of drawn sweeps whose best mean is as high as that of values (L, S), if the shifts are but names.

    A permutation test: within each seed the values are dealt to the shifts anew, so that a seed keeps its own effect.
    The sweep found counts as one of the draws (Davison and Hinkley 1997, section 4.2).
    """
    rng = np.random.default_rng(0)
    found = float(values.mean(axis=1).max()) - 1e-12  # but for rounding
    drawn = [float(rng.permuted(values, axis=0).mean(axis=1).max()) for _ in range(draws)]
    return (1 + sum(best >= found for best in drawn)) / (1 + draws)


def choose(shifts: Doubles, macro_f1: Curve) -> tuple[int, int]:
    """The numbers of the best shift and of the one to take, for shifts (L,).

    The best of many leads by chance too. Where chance alone gives as good a best in more than `CHANCE` of all sweeps,
    nothing speaks for any shift; else for those whose mean lies no further below the best than the lead that chance
    gives. Of what is left, the simplest is taken: the shift nearest to 0, of two equally near the better one. (The rule
    of one standard error of Breiman, Friedman, Olshen and Stone 1984, made strict for the best of L.) One seed tells
    nothing about chance: the best is taken.
    """
    order = sorted(range(len(shifts)), key=lambda k: (-macro_f1.mean[k], abs(shifts[k])))
    best = order[0]
    if macro_f1.noise is None:
        return best, best
    least = -math.inf if macro_f1.noise.chance > CHANCE else macro_f1.mean[best] - macro_f1.noise.lead
    near = [k for k in order if macro_f1.mean[k] >= least]
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
    best, chosen = choose(np.array(shifts), macro_f1)
    return Swept(fusion, shifts, seeds, accuracy, macro_f1, best, chosen)
