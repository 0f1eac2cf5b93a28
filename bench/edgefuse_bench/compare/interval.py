"""The ratio of two medians, and how far noise may have moved it.

Neighbouring queries are alike: a clock that drops or a program that wakes slows many of them in a row. An interval that
takes each query for a witness of its own is then far too narrow. So the witnesses are

- whole processes, where a configuration was run in more than one: what differs from one to the next is their spread;
- otherwise a run's `STRETCHES` stretches of consecutive queries (batch means: Law and Kelton 1991, section 9.5.3),
  which see what changes within the run and nothing that changes from process to process.

Spread is taken on the logarithm, over both sides together. A machine's pace wanders on all scales of time (see
`edgefuse_bench.spread`), so two runs one after the other are as far apart as neighbours are. Where the two sides were
measured in turn, its wandering meets both alike, and the interval is Student's for two means.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import geometric_mean

import numpy as np

from edgefuse_bench.result import Query, Result
from edgefuse_bench.spread import STRETCHES, Interval, of_neighbours, stretches
from edgefuse_bench.student import student

LEAST = 2 * STRETCHES
"""Queries that a single run needs for an interval."""

Figure = Callable[[Sequence[Query]], float]
"""Of some queries; above 0."""


@dataclass(frozen=True)
class Ratio:
    """A candidate's figure over the baseline's; of several processes, of their geometric means."""

    baseline: float
    candidate: float
    interval: Interval | None
    """Of the ratio, of level 95 %; None where there is nothing to tell the noise by."""

    @property
    def value(self) -> float:
        """Below 1: the candidate's is less."""
        return self.candidate / self.baseline


def ratio(baseline: Sequence[Result], candidate: Sequence[Result], figure: Figure) -> Ratio:
    """The ratio of a figure of two configurations' queries."""
    sides = [processes(results) for results in (baseline, candidate)]
    values = [[figure(queries) for queries in side] for side in sides]
    found = ratio_of_values(*values, turns=in_turn(baseline, candidate))
    (one, *more), (other, *others) = sides
    if more or others or min(len(one), len(other)) < LEAST:
        return found
    before, after = ([figure(part) for part in stretches(side, STRETCHES)] for side in (one, other))
    return replace(found, interval=_interval(found.value, before, after, turns=False))


def ratio_of_values(baseline: Sequence[float], candidate: Sequence[float], *, turns: bool) -> Ratio:
    """The ratio of a figure that each process gave once, measured in turn or not; no interval of one process each."""
    found = Ratio(geometric_mean(baseline), geometric_mean(candidate), None)
    single = len(baseline) == len(candidate) == 1
    return found if single else replace(found, interval=_interval(found.value, baseline, candidate, turns=turns))


def in_turn(baseline: Sequence[Result], candidate: Sequence[Result]) -> bool:
    """Whether the results of the two sides were measured by turns, not all of one side first."""
    runs = sorted((result.started, side) for side, results in enumerate((baseline, candidate)) for result in results)
    return sum(before != after for (_, before), (_, after) in pairwise(runs)) > 1


def processes(results: Sequence[Result]) -> list[list[Query]]:
    """The queries of each process."""
    found: dict[tuple[int, int], list[Query]] = {}
    for run, result in enumerate(results):
        for query in result.queries:
            found.setdefault((run, query.process), []).append(query)
    return list(found.values())


def _interval(value: float, baseline: Sequence[float], candidate: Sequence[float], *, turns: bool) -> Interval:
    """Around the ratio of two means, from figures (a,) and (b,) of witnesses of both sides."""
    sides = np.log(baseline), np.log(candidate)
    freedom = len(baseline) + len(candidate) - 2
    squares = sum(float(((side - side.mean()) ** 2).sum()) for side in sides)
    apart = sum(1 / len(side) if turns else of_neighbours(len(side)) / 2 for side in sides)
    reach = math.exp(student(freedom) * math.sqrt(squares / freedom * apart))
    return value / reach, value * reach
