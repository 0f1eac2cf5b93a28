"""Readings beside a run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edgefuse_bench.meters import Sampler, all_meters
from edgefuse_bench.meters.meter import Absent

Recorded = Callable[[str], Path]


class Scripted:
    """Gives one value after the other, then the last for ever; an exception among them is raised."""

    name = "scripted"

    def __init__(self, *values: Any, unit: str = "W") -> None:
        self.unit = unit
        self._values: Iterator[Any] = iter(values)
        self._last: Any = None
        self.calls = 0

    def info(self) -> dict[str, Any]:
        return {"source": "a test"}

    def read(self) -> Any:
        self.calls += 1
        self._last = next(self._values, self._last)
        if isinstance(self._last, Exception):
            raise self._last
        return self._last


def test_readings_at_the_start_between_and_at_the_end() -> None:
    meter = Scripted(1.0, 2.0, 3.0)
    with Sampler([meter], 0.01) as sampler:
        while meter.calls < 4:
            time.sleep(0.001)
    (result,) = sampler.results()
    assert (result["name"], result["unit"], result["info"]) == ("scripted", "W", {"source": "a test"})
    assert [reading["value"] for reading in result["readings"][:3]] == [1.0, 2.0, 3.0]
    assert len(result["readings"]) == meter.calls
    assert all(earlier["t_ns"] < later["t_ns"] for earlier, later in pairwise(result["readings"]))
    assert result["readings"][0]["t_ns"] >= 0
    assert result["reading_ns"] >= 0


def test_a_run_shorter_than_the_interval_has_two_readings() -> None:
    with Sampler([Scripted(5)], 60) as sampler:
        pass
    assert len(sampler.results()[0]["readings"]) == 2


def test_times_count_from_the_runs_own_start() -> None:
    start = time.monotonic_ns() - 5_000_000_000
    with Sampler([Scripted(5)], 60, start_ns=start) as sampler:
        pass
    assert sampler.results()[0]["readings"][0]["t_ns"] >= 5_000_000_000


def test_a_meter_that_fails_ends_no_run_and_hides_no_other() -> None:
    with Sampler([Scripted(OSError("gone"), None, RuntimeError("worse")), Scripted(7)], 60) as sampler:
        pass
    broken, whole = sampler.results()
    assert broken["readings"] == []
    assert "joules" not in broken
    assert [reading["value"] for reading in whole["readings"]] == [7, 7]


def test_what_is_not_measurable_says_why() -> None:
    with Sampler([Absent("energy", "There is no sensor.")], 60) as sampler:
        pass
    assert sampler.results() == [{"name": "energy", "not_measurable": "There is no sensor."}]


def test_the_runs_own_error_comes_through() -> None:
    sampler = Sampler([Scripted(1)], 60)
    with pytest.raises(ValueError, match="of the run"), sampler:
        raise ValueError("of the run")
    assert len(sampler.results()[0]["readings"]) == 2


@pytest.mark.parametrize("machine", ["pi4", "pi5", "laptop", "cloud_vm"])
def test_results_of_recorded_machines_are_plain_json(recorded: Recorded, machine: str) -> None:
    with Sampler(all_meters(recorded(machine)), 60) as sampler:
        pass
    results = json.loads(json.dumps(sampler.results()))
    assert {"temperature", "clock"} <= {result["name"] for result in results}
    for result in results:
        assert "not_measurable" in result or len(result["readings"]) == 2
