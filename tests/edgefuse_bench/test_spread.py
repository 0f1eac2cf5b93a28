"""The interval of a run holds the figure of another run as often as it says."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from edgefuse_bench.result import Query
from edgefuse_bench.spread import (
    FEWEST,
    another_run,
    median_interval,
    median_ns,
    of_neighbours,
    parts_of,
    rate,
    rate_interval,
    stretches,
)


def queries(totals: list[float], process: list[int] | None = None) -> list[Query]:
    return [
        Query(0, round(total), {}, start_ns=number, process=process[number] if process else 0)
        for number, total in enumerate(totals)
    ]


def run_of_processes(rng: np.random.Generator, processes: int, each: int) -> list[Query]:
    """Processes differ by 5 %, neighbouring queries of one are alike, single ones scatter by 3 %."""
    totals: list[float] = []
    for _ in range(processes):
        drift = np.cumsum(rng.normal(0, 0.01, each))  # (each,): a walk, as other programs come and go
        totals += (1e8 * np.exp(rng.normal(0, 0.05) + drift + rng.normal(0, 0.03, each))).tolist()
    return queries(totals, [number // each for number in range(len(totals))])


@pytest.mark.parametrize(("interval", "figure"), [(median_interval, median_ns), (rate_interval, rate)])
@pytest.mark.parametrize(("processes", "each"), [(5, 13), (3, 21), (8, 16)])
def test_another_run_lies_within_in_19_of_20_pairs(interval, figure, processes: int, each: int) -> None:
    rng = np.random.default_rng(0)
    pairs = 400
    inside = 0
    for _ in range(pairs):
        low, high = interval(run_of_processes(rng, processes, each))
        inside += low <= figure(run_of_processes(rng, processes, each)) <= high

    assert inside / pairs >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / pairs)
    assert inside < pairs, "so wide that it says nothing"


def flicker(rng: np.random.Generator, length: int) -> np.ndarray:
    """Noise (length,) whose power falls as 1 / f, of standard deviation 1."""
    spectrum = np.fft.rfft(rng.normal(size=length))
    shaped = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), length)  # (length,)
    return shaped / shaped.std()


@pytest.mark.parametrize("parts", [5, 10, 20])
def test_neighbours_agree_in_19_of_20_pairs_where_the_pace_wanders_on_all_scales(parts: int) -> None:
    """Taking the parts for independent holds fewer, and the fewer the more parts there are."""
    pace = 100 * np.exp(0.05 * flicker(np.random.default_rng(0), 2**16))  # (2^16,) one process after another
    runs = pace[: len(pace) // parts * parts].reshape(-1, parts)  # (r, parts)
    inside = independent = 0
    for one, other in pairwise(runs):
        low, high = another_run(float(np.median(one)), one.tolist())
        inside += low <= np.median(other) <= high
        reach = math.log(high / low) / 2 * math.sqrt(2 / parts / of_neighbours(parts))
        independent += abs(math.log(np.median(other) / np.median(one))) <= reach

    pairs = len(runs) - 1
    assert inside / pairs >= 0.93  # 0.94 to 0.95 in the long run: the spread of wandering parts is itself less certain
    assert independent / pairs < 0.85


def test_of_neighbours_is_the_allan_variance_over_that_of_the_parts() -> None:
    """Two samples have the Allan variance for their variance, by its definition; of white noise it is 2 / parts."""
    rng = np.random.default_rng(1)
    series = flicker(rng, 2**18)

    for parts in (2, 5, 20):
        runs = series[: len(series) // parts * parts].reshape(-1, parts)  # (r, parts)
        apart = (np.diff(runs.mean(axis=1)) ** 2).mean()
        assert apart / runs.var(axis=1, ddof=1).mean() == pytest.approx(of_neighbours(parts), rel=0.12)
    assert of_neighbours(2) == pytest.approx(2)


def test_parts_are_processes_or_stretches_of_one() -> None:
    of_processes = queries([1, 2, 3, 4, 5, 6], [0, 0, 1, 1, 2, 2])
    of_one = queries(list(range(1, 26)))
    cold = queries([1, 2, 3, 4], [0, 1, 2, 3])

    assert [len(part) for part in parts_of(of_processes)] == [2, 2, 2]
    assert [len(part) for part in parts_of(of_one)] == [2, 3] * 5
    assert [len(part) for part in parts_of(cold)] == [1] * 4
    assert [query.total_ns for part in parts_of(of_one) for query in part] == list(range(1, 26))


@pytest.mark.parametrize(("length", "count"), [(3, 5), (10, 3), (1, 1)])
def test_stretches_are_as_equal_as_they_can_be(length: int, count: int) -> None:
    lengths = [len(part) for part in stretches(queries([1.0] * length), count)]

    assert sum(lengths) == length
    assert len(lengths) == min(length, count)
    assert max(lengths) - min(lengths) <= 1


def test_too_few_parts_give_no_interval() -> None:
    assert another_run(10, [9, 11]) is None
    assert another_run(10, [9, 11, 10]) is not None
    assert FEWEST == 3


def test_the_interval_is_students_on_the_logarithm() -> None:
    """t of 2 degrees is 4.303 (printed tables), the spread of the logarithms 0.1."""
    low, high = another_run(100, [100 * math.exp(-0.1), 100, 100 * math.exp(0.1)])

    assert high == pytest.approx(100 * math.exp(4.303 * 0.1 * math.sqrt(of_neighbours(3))), rel=1e-3)
    assert low * high == pytest.approx(100**2)
