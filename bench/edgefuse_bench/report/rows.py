"""An entry as one row of values, from which tables and the CSV file are made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from edgefuse.pages.sheets import Row
from edgefuse.percentiles import percentile, percentiles
from edgefuse_bench.meters import joules
from edgefuse_bench.report.entries import Entry
from edgefuse_bench.result import STAGES, Result

PERCENTILES = ("p90", "p95", "p99")


def row(entry: Entry) -> Row:
    """All values by name; None where something was not measured, and for times of an emulator."""
    first, chosen = entry.results[0], entry.configuration
    found: Row = {
        "label": entry.label,
        "machine": entry.machine,
        "emulated": "yes" if entry.emulated else "",
        "scenario": chosen.scenario,
        "kit": chosen.kit,
        "digest": chosen.digest,
        "image_engine": chosen.image_engine,
        "text_engine": chosen.text_engine,
        "image_precision": chosen.image_precision,
        "text_precision": chosen.text_precision,
        "threads": chosen.threads,
        "edgefuse": first.edgefuse,
        "started": first.started,
        "queries": len(entry.queries),
        "processes": sum(len({query.process for query in result.queries}) for result in entry.results),
        "samples": first.samples.get("source"),
        "drawn": "yes" if first.samples.get("drawn") else "",
        "peak_rss_bytes": max(result.memory["peak_rss_bytes"] for result in entry.results),
        "pss_bytes": first.memory.get("pss_bytes"),
        "kit_bytes": sum(first.files.values()) or None,
    }
    if not entry.emulated:
        found |= dict(_times(entry))
    return found | dict(_accuracy(first))


def _times(entry: Entry) -> Iterator[tuple[str, Any]]:
    totals, first = entry.totals_ns, entry.results[0]
    if entry.configuration.scenario != "Offline":  # where many answers are on their way at once
        yield "median_ns", percentile(totals, 0.5)
        if len(entry.results) == 1 and first.total_interval_ns:
            yield from zip(("median_low_ns", "median_high_ns"), first.total_interval_ns, strict=True)
        yield from ((f"{name}_ns", value) for name, value in percentiles(totals).items())
    for name in STAGES:
        values = [query.stages_ns[name] for query in entry.queries if name in query.stages_ns]
        if values:
            yield f"{name}_ns", percentile(values, 0.5)
    if entry.configuration.scenario != "Cold":
        yield "first_ns", first.open_ns + first.first.total_ns
    if first.throughput:
        rates = [result.throughput["samples_per_second"] for result in entry.results if result.throughput]
        yield "per_second", percentile(rates, 0.5)
        if len(entry.results) == 1 and first.throughput.get("interval"):
            yield from zip(("per_second_low", "per_second_high"), first.throughput["interval"], strict=True)
    yield "hottest_celsius", max((value for _, value in values_of(first, "°C")), default=None)
    yield "joules_an_answer", _joules_an_answer(first)


def _joules_an_answer(result: Result) -> float | None:
    """The mean power while the queries were asked, times an answer's mean time.

    None without a meter or with fewer than 5 readings in that time; what processes do before is not in it.
    """
    spans: dict[int, tuple[int, int]] = {}
    for query in result.queries:
        if query.start_ns is None:
            return None
        start, _ = spans.get(query.process, (query.start_ns, 0))
        spans[query.process] = start, query.start_ns + query.total_ns
    seconds = sum(query.total_ns for query in result.queries) / len(result.queries) / 1e9
    for meter in result.meters:
        within = [
            [reading for reading in meter.get("readings", ()) if start <= reading["t_ns"] <= end]
            for start, end in spans.values()
        ]
        energies = [joules(meter.get("unit", ""), readings) for readings in within]
        known = [(each, readings) for each, readings in zip(energies, within, strict=True) if each is not None]
        measured = sum(readings[-1]["t_ns"] - readings[0]["t_ns"] for _, readings in known) / 1e9
        if sum(len(readings) for _, readings in known) >= 5 and measured > 0:
            return float(sum(each for each, _ in known) / measured * seconds)
    return None


def _accuracy(result: Result) -> Iterator[tuple[str, Any]]:
    golden, samples, kit = (result.accuracy.get(name) or {} for name in ("golden", "samples", "kit"))
    yield "kit_dataset", kit.get("dataset")
    # no figure of the drawn example stands in an accuracy table
    samples, kit = ({} if part.get("drawn") else part for part in (samples, kit))
    yield "golden_n", golden.get("n")
    yield "golden_labels_changed", golden.get("labels_changed")
    yield "golden_worst_probability_shift", golden.get("worst_probability_shift")
    for figure in ("n", "accuracy", "macro_f1"):
        yield f"samples_{figure}", samples.get(figure)
        yield f"kit_{figure}", kit.get(figure)
    for figure in ("accuracy", "macro_f1"):
        interval = samples.get(f"{figure}_interval") or (None, None)
        yield from zip((f"samples_{figure}_low", f"samples_{figure}_high"), interval, strict=True)


def values_of(result: Result, unit: str) -> list[tuple[int, Any]]:
    """Time and number of all readings in this unit, of the first meter that has some."""
    for meter in result.meters:
        if meter.get("unit") == unit and meter.get("readings"):
            readings = ((reading["t_ns"], reading["value"]) for reading in meter["readings"])
            return [(t, value) for t, value in readings if not isinstance(value, str)]
    return []


def slowed_spans(bits: Sequence[tuple[int, Any]], mask: int) -> list[tuple[float, float]]:
    """Seconds from a reading in which one of the bits of `mask` is set to the next one."""
    return [(t / 1e9, after / 1e9) for (t, value), (after, _) in pairwise(bits) if int(value) & mask]
