"""Leaks and slowing are named where they are, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse_bench.over_time import (
    growth,
    leak_sentence,
    slowing,
    slowing_sentence,
    throughput_over_time,
)
from edgefuse_bench.result import Query

SECOND, MIB = 10**9, 2**20
T_NS = [second * SECOND for second in range(600)]


def noise(seed: int = 0) -> np.ndarray:
    """Bytes (600,) that a single answer takes and gives back."""
    return np.random.default_rng(seed).integers(0, 4, 600) * MIB


def test_memory_that_goes_on_growing_is_a_leak() -> None:
    held = 100 * MIB + noise() + np.arange(600) * 20_000

    found = growth(T_NS, held.tolist())

    low, high = found["interval"]
    assert found["leak"] is True
    assert low < 20_000 * 3600 < high
    assert found["anon_bytes_per_hour"] == pytest.approx(20_000 * 3600, rel=0.1)
    assert "Memory leaks: it rose by" in leak_sentence(found, 900)


@pytest.mark.parametrize(
    "held",
    [
        100 * MIB + noise(1),
        100 * MIB + noise(2) + np.where(np.arange(600) > 100, 30 * MIB, 0),
        100 * MIB + noise(3) + np.where(np.arange(600) > 450, 30 * MIB, 0),
        100 * MIB + noise(4) + np.minimum(np.arange(600), 200) * 100_000,
        100 * MIB + noise(5) - np.arange(600) * 1_000,
        100 * MIB + np.arange(600) * 100,
        np.full(600, 100 * MIB),
    ],
    ids=["steady", "step early", "step late", "levels off", "falls", "rises by pages", "constant"],
)
def test_what_is_taken_once_or_given_back_is_no_leak(held: np.ndarray) -> None:
    assert growth(T_NS, held.tolist())["leak"] is False


def test_no_leak_is_seen_where_there_is_none_in_many_runs() -> None:
    """A walk of the allocator around what it needs."""
    rng = np.random.default_rng(0)
    named = 0
    for _ in range(200):
        walk = np.zeros(600)
        for step in range(1, 600):
            walk[step] = 0.95 * walk[step - 1] + rng.normal(0, 0.2 * MIB)
        named += growth(T_NS, (100 * MIB + walk).astype(int).tolist())["leak"]

    assert named <= 2


def test_too_few_readings_tell_nothing() -> None:
    assert growth(T_NS[:39], [100] * 39) is None


def queries(totals: np.ndarray) -> list[Query]:
    starts = np.cumsum(totals) - totals
    return [Query(0, int(total), {}, start_ns=int(start)) for total, start in zip(totals, starts, strict=True)]


def test_a_run_that_slows_down_is_called_so() -> None:
    rng = np.random.default_rng(0)
    totals = 1e8 * np.exp(rng.normal(0, 0.03, 500)) * np.linspace(1, 1.3, 500)

    found = slowing(queries(totals))

    assert found["slowed"] is True
    assert found["interval"][0] < 1.27 / 1.03 < found["interval"][1]  # the middles of the last and the first fifth
    assert "the temperature is not measurable here" in slowing_sentence(found, [])
    meter = {"name": "temperature", "readings": [{"value": 48.3}, {"value": 60.0}, {"value": 79.8}]}
    assert slowing_sentence(found, [meter]).endswith("the temperature went from 48 to 80 °C.")


def test_a_steady_run_is_not_called_slow() -> None:
    rng = np.random.default_rng(0)
    called = [slowing(queries(1e8 * np.exp(rng.normal(0, 0.1, 200))))["slowed"] for _ in range(200)]

    assert sum(called) <= 10
    assert slowing(queries(np.full(24, 1e8))) is None


def test_throughput_is_samples_by_time() -> None:
    over_time = throughput_over_time(queries(np.array([1e8] * 12 + [2e8] * 12)))

    assert [part["samples_per_second"] for part in over_time] == pytest.approx([10.0] * 6 + [5.0] * 6)
    assert [part["t_ns"] for part in over_time[:2]] == [0, 200_000_000]
