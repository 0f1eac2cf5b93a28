"""Measures one configuration of a kit: in fresh processes, with all that is known about them put into one result."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edgefuse import __version__
from edgefuse.card import machine_card
from edgefuse.kits.kit import Kit
from edgefuse_bench import accuracy, others, over_time
from edgefuse_bench.meters import Sampler, all_meters, remarks
from edgefuse_bench.order import ANSWERS
from edgefuse_bench.processes import Processes
from edgefuse_bench.result import SCENARIOS, Query, Result
from edgefuse_bench.samples import Samples, kit_samples
from edgefuse_bench.settings import Settings
from edgefuse_bench.spread import median_interval, rate, rate_interval


def run(kit: Path, settings: Settings, samples: Samples | None = None) -> Result:
    """Measure `kit` in fresh processes, on `samples` or else those that it carries.

    Raises:
        BadInput: the kit cannot be opened or answered with, or no sample can be read.
        EdgefuseError: what a process refused, or it died.
    """
    opened = Kit.open(kit)
    opened.encoders(settings.precision)  # refuses a precision that the kit does not have
    asked = kit_samples(opened) if samples is None else samples
    whole = settings.complete(len(asked.asked))
    with tempfile.TemporaryDirectory(prefix="edgefuse-bench-") as folder:
        found = Processes(opened, whole, asked, Path(folder))
        before = others.moment()
        with Sampler(all_meters(), start_ns=found.timeline.began_ns) as sampler:
            found.ask()
        disturbed = others.others_cores(before, others.moment())
        return _result(opened, whole, asked, found, sampler.results(), disturbed)


def _result(
    kit: Kit,
    whole: Settings,
    asked: Samples,
    found: Processes,
    meters: Sequence[dict[str, Any]],
    others_cores: float | None,
) -> Result:
    card, first = machine_card(), found.outcomes[0]
    settings = {name: value for name, value in asdict(whole).items() if name != "scenario"}
    if first["tuned"]:
        settings |= {"threads": max(first["threads"].values()), "tuned": True}
    is_sustained = whole.scenario == "sustained"
    growth = over_time.growth(*_held_while_asked(found)) if is_sustained else None
    slowing = over_time.slowing(found.queries) if is_sustained else None
    return Result(
        scenario=SCENARIOS[whole.scenario],
        started=found.started,
        kit={"name": kit.name, "version": kit.version, "digest": kit.digest},
        settings=settings,
        engines=found.outcomes[-1]["engines"],
        precisions=found.outcomes[-1]["precisions"],
        samples={"source": asked.source, "drawn": asked.drawn, "count": len(asked.asked)},
        open_ns=0 if whole.scenario == "cold" else first["open_ns"],
        first=found.first,
        warmup=tuple(found.warmup),
        queries=tuple(found.queries),
        memory=_memory(found, growth),
        machine=card,
        edgefuse=__version__,
        total_interval_ns=median_interval(found.queries),
        throughput=_throughput(whole, found.queries, slowing),
        files={name: file["bytes"] for name, file in kit.manifest["files"].items()},
        meters=tuple(meters),
        accuracy=_accuracy(kit, asked, found),
        notes=(
            *found.notes,
            *remarks(meters),
            *others.sentence(others_cores, card["logical_cores"]),
            *([over_time.leak_sentence(growth, len(found.queries))] if growth and growth["leak"] else []),
            *([over_time.slowing_sentence(slowing, meters)] if slowing and slowing["slowed"] else []),
        ),
        others_cores=others_cores,
        emulated=bool(card.get("emulated", False)),
    )


def _held_while_asked(found: Processes) -> tuple[list[int], list[int]]:
    """Times in nanoseconds and anonymous bytes, from the first measured query to the last."""
    begin, end = (found.queries[index].start_ns or 0 for index in (0, -1))
    during = [reading for reading in found.timeline.readings if begin <= reading["t_ns"] <= end]
    return [reading["t_ns"] for reading in during], [reading["anon_bytes"] for reading in during]


def _throughput(
    settings: Settings, queries: Sequence[Query], slowing: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    if settings.scenario not in ("offline", "sustained"):
        return None
    found: dict[str, Any] = {"samples_per_second": rate(queries), "interval": rate_interval(queries)}
    if settings.scenario == "sustained":
        found["over_time"] = over_time.throughput_over_time(queries)
        found["slowing"] = slowing
    return found


def _memory(found: Processes, growth: Mapping[str, Any] | None) -> dict[str, Any]:
    """Peaks over all processes of the run; stages and what was held in the end, of the first one."""
    ends = [outcome["processes"] for outcome in found.outcomes]
    stages = [stage for outcome in found.outcomes for stage in outcome["stages"].values()]  # with workers closed since
    proportional = [one["pss_bytes"] for one in ends[0]]
    return {
        "peak_rss_bytes": max(found.timeline.peak_rss_bytes, *(stage["peak_rss_bytes"] for stage in stages)),
        "vm_hwm_bytes": max(end[0]["peak_rss_bytes"] for end in ends),
        "anon_bytes": sum(one["anon_bytes"] for one in ends[0]),
        "file_bytes": sum(one["file_bytes"] for one in ends[0]),
        "pss_bytes": None if None in proportional else sum(proportional),
        "processes": ends[0],
        "stages": found.outcomes[0]["stages"],
        "timeline": found.timeline.readings,
        **({} if growth is None else {"growth": dict(growth)}),
    }


def _accuracy(kit: Kit, samples: Samples, found: Processes) -> dict[str, Any]:
    precisions, vectors = found.golden
    specs = [kit.encoders(precisions[name])[number] for number, name in enumerate(("image", "text"))]
    golden = dict(np.load(vectors, allow_pickle=False))
    answers = np.full((len(samples.asked), len(kit.classes)), np.nan)  # (n, K)
    referred: set[int] = set()
    for number, outcome in enumerate(found.outcomes):
        rows = np.load(found.folder_of(number) / ANSWERS, allow_pickle=False)  # (n, K)
        answers = np.where(np.isnan(rows), answers, rows)
        referred |= set(outcome["referred"])
    labelled = accuracy.on_labels(kit, samples.labels, answers, sorted(referred))
    parts = {
        "golden": accuracy.on_golden(kit, specs, golden),
        "samples": None if labelled is None else {**labelled, "drawn": samples.drawn},
        "kit": accuracy.of_kit(kit),
    }
    return {name: part for name, part in parts.items() if part is not None}
