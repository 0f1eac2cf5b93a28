"""The figures of each section, drawn from the entries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from edgefuse.pages.sections import Picture
from edgefuse.percentiles import percentile
from edgefuse_bench.meters.remarks import NOW_BITS
from edgefuse_bench.report import figures
from edgefuse_bench.report.entries import Entry, Found, threads_words
from edgefuse_bench.report.rows import row, slowed_spans, values_of

UNITS = {"°C": "temperature", "MHz": "clock", "W": "power"}
"""What is drawn over time."""

ORDER = ("start", "load", "tokenise", "text", "decode", "image", "head")
"""In which an answer goes through its stages; the first two are told of Cold alone."""


def pictures_of(found: Found) -> Iterator[tuple[str, tuple[Picture, ...]]]:
    """The name of each section that has some, and them.

    Raises:
        BadInput: matplotlib is not installed.
    """
    drawn = {"stages": _waterfalls, "latency": _latency, "memory": _memory, "heat": _heat, "threads": _threads}
    yield from ((name, tuple(draw(found))) for name, draw in drawn.items())


def _waterfalls(found: Found) -> Iterator[Picture]:
    every = [(entry, _bars(entry)) for entry in _answered_alone(found)]
    limits: dict[str, float] = {}  # one for each scenario: a cold start takes many times as long
    for entry, bars in every:
        scenario, end = entry.configuration.scenario, 1.05 * (bars[-1].start + bars[-1].length)
        limits[scenario] = max(end, limits.get(scenario, 0))
    for number, (entry, bars) in enumerate(every):
        drawn = figures.waterfall(bars, limits[entry.configuration.scenario])
        yield Picture(f"waterfall-{number}", entry.label, drawn)


def _bars(entry: Entry) -> list[figures.Bar]:
    bars, start = [], 0.0
    for name in ORDER:
        values = [query.stages_ns[name] for query in entry.queries if name in query.stages_ns]
        if values:
            bars.append(figures.Bar(name, start, percentile(values, 0.5) / 1e6))
            start += bars[-1].length
    return bars or [figures.Bar("answer", 0, percentile(entry.totals_ns, 0.5) / 1e6)]


def _latency(found: Found) -> Iterator[Picture]:
    lines = [(entry.label, np.array(entry.totals_ns) / 1e6) for entry in _answered_alone(found)]
    if lines:
        yield Picture("latency", "The share of all answers that took at most so long", figures.distribution(lines))


def _memory(found: Found) -> Iterator[Picture]:
    for number, entry in enumerate(found.entries):
        result = entry.results[0]
        timeline = result.memory.get("timeline") or []
        if len(timeline) > 1:
            seconds, own, files = (
                np.array([moment[name] for moment in timeline], float) / unit
                for name, unit in (("t_ns", 1e9), ("anon_bytes", 2**20), ("file_bytes", 2**20))
            )
            start = result.queries[0].start_ns
            measured = None if start is None or entry.configuration.scenario == "Cold" else start / 1e9
            yield Picture(f"memory-{number}", entry.label, figures.memory(seconds, own, files, measured))


def _heat(found: Found) -> Iterator[Picture]:
    for number, entry in enumerate(found.timed):
        result = entry.results[0]
        lines = []
        for unit, name in UNITS.items():
            values = values_of(result, unit)
            if len(values) > 1:
                t, y = (np.array(column, float) for column in zip(*values, strict=True))
                lines.append((unit, figures.Series(name, t / 1e9, y)))
        if lines:
            slowed = slowed_spans(values_of(result, "bits"), NOW_BITS)
            caption = entry.label + (" (shaded: the machine was slowed down)" if slowed else "")
            yield Picture(f"heat-{number}", caption, figures.readings(lines, slowed))


def _threads(found: Found) -> Iterator[Picture]:
    lines = _lines(found.timed)
    if lines:
        yield Picture("threads", "Answers per second by the number of threads", figures.throughput(lines))


def _lines(entries: Sequence[Entry]) -> list[figures.Series]:
    """One for all that is alike but for the threads, where there are two numbers of them or more."""
    alike: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.configuration.scenario != "Cold":
            threads = threads_words(entry.configuration)
            name = ", ".join(part for part in entry.label.split(", ") if part != threads)
            alike.setdefault(name or entry.configuration.scenario, []).append(entry)
    lines = []
    for name, group in alike.items():
        rows = sorted(map(row, group), key=lambda each: float(each["threads"] or 0))
        rows = [each for each in rows if each.get("per_second") or each.get("median_ns")]
        if len({each["threads"] for each in rows}) > 1:
            x = np.array([each["threads"] for each in rows], float)
            y = np.array([each.get("per_second") or 1e9 / float(each["median_ns"] or 1) for each in rows], float)
            lines.append(figures.Series(name, x, y, *_reach(rows)))
    return lines


def _reach(rows: Sequence[dict[str, Any]]) -> tuple[figures.Doubles, figures.Doubles] | tuple[()]:
    """The intervals of the throughputs, where every one has its own."""
    ends = ("per_second_low", "per_second_high")
    if not all(each.get(end) for each in rows for end in ends):
        return ()
    low, high = (np.array([each[end] for each in rows], float) for end in ends)
    return low, high


def _answered_alone(found: Found) -> list[Entry]:
    """Those with times of single answers: Offline, where only the number in a second counts, for want of others."""
    return [entry for entry in found.timed if entry.configuration.scenario != "Offline"] or found.timed
