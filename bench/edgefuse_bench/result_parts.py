"""Whether the parts of a result's JSON are what a reader takes them for; a file may come from anywhere."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

MOST = 2**62
"""No number of bytes or nanoseconds is larger; beyond it, arithmetic in 64 bits would overflow."""


def check(data: dict[str, Any]) -> None:
    """Look at all that is calculated with, apart from the queries.

    Raises:
        KeyError: a part is missing.
        ValueError: a part is something else.
    """
    json.dumps(data, allow_nan=False)  # NaN is no JSON, though Python reads it
    _number(data["memory"]["peak_rss_bytes"], "memory.peak_rss_bytes", above=0)
    for place, part, optional in _objects(data):
        if not isinstance(part, dict) and not (optional and part is None):
            raise ValueError(f"{place!r} is no object")
    for name in ("threads", "physical_cores"):
        value = data["settings"].get(name) if name == "threads" else data["machine"].get(name)
        if value is not None:
            _number(value, name, above=0)
    for name in ("logical_cores", "ram_bytes", "cgroup_limit_bytes", "cgroup_cores", "min_mhz", "max_mhz"):
        if (value := data["machine"].get(name)) is not None:
            _number(value, f"machine.{name}", above=0)
    if throughput := data.get("throughput"):
        _number(throughput["samples_per_second"], "throughput.samples_per_second", above=0)
        _interval(throughput.get("interval"), "throughput.interval")
    _interval(data.get("total_interval_ns"), "total_interval_ns")
    for moment in data["memory"].get("timeline") or ():
        for name in ("t_ns", "rss_bytes", "anon_bytes", "file_bytes"):
            _number(moment[name], f"memory.timeline.{name}")
    for part in (data.get("accuracy") or {}).values():
        _number(part["n"], "accuracy.n")
        _figures(part)
    if growth := data["memory"].get("growth"):
        _figures(growth)
    for meter in data.get("meters") or ():
        _meter(meter)


def _objects(data: dict[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    for name in ("kit", "settings", "engines", "precisions", "memory", "machine"):
        yield name, data[name], False
    for name in ("throughput", "accuracy", "files"):
        yield name, data.get(name), True
    for name in ("libraries", "settings"):
        yield f"machine.{name}", data["machine"].get(name), True
    yield "memory.growth", data["memory"].get("growth"), True
    for name, part in (data.get("accuracy") or {}).items():
        yield f"accuracy.{name}", part, True


def _figures(part: dict[str, Any]) -> None:
    """Every figure of an accuracy or a growth: a number, an interval of two, or a word."""
    for name, value in part.items():
        if isinstance(value, list) or (name.endswith("interval") and value is not None):
            low, high = value
            _number(low, name)
            _number(high, name)
        elif isinstance(value, int | float):
            _number(value, name)
        elif name in ("n", "labels_changed", "worst_probability_shift", "accuracy", "macro_f1", "anon_bytes_per_hour"):
            raise ValueError(f"{name!r} is {str(value)[:20]}")


def _meter(meter: Any) -> None:
    if not isinstance(meter.get("name"), str):
        raise ValueError("a meter has no name")
    if isinstance(meter.get("not_measurable"), str):
        return
    if not isinstance(meter.get("info", {}), dict):
        raise ValueError(f"{meter['name']}: its info is no object")
    for reading in meter["readings"]:
        _number(reading["t_ns"], f"{meter['name']}: t_ns")
        if not isinstance(reading["value"], str) or meter.get("unit") in ("W", "J", "bits"):  # which are added up
            _number(reading["value"], f"{meter['name']}: value")


def _interval(bounds: Any, place: str) -> None:
    """Two numbers above 0, or nothing."""
    if bounds is None:
        return
    low, high = bounds
    _number(low, place, above=0)
    _number(high, place, above=0)


def _number(value: Any, place: str, above: float | None = None) -> None:
    good = isinstance(value, int | float) and math.isfinite(value) and abs(value) < MOST
    if not good or (above is not None and value <= above):
        raise ValueError(f"{place!r} is {str(value)[:20]}")
