"""The sections of a report, in its order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgefuse.pages.sections import Picture, Section
from edgefuse_bench.meters.remarks import NOW_BITS
from edgefuse_bench.report import tables
from edgefuse_bench.report.entries import Found
from edgefuse_bench.report.rows import values_of


def sections_of(found: Found, pictures: Mapping[str, tuple[Picture, ...]]) -> list[Section]:
    """Everything that the report tells; `pictures` are those of `pictures_of`, or none where there are only words."""
    sections = (
        Section("overview", "At a glance", sheet=tables.overview(found)),
        Section("stages", "Where the time goes", _stages(pictures), tables.stages(found), pictures.get("stages", ())),
        Section("latency", "How the times are spread", pictures=pictures.get("latency", ())),
        Section("accuracy", "How right the answers are", _accuracy(found), tables.accuracy(found)),
        Section("memory", "Memory over time", tuple(_memory(found)), pictures=pictures.get("memory", ())),
        Section("heat", "Heat, clock and energy", tuple(_heat(found)), pictures=pictures.get("heat", ())),
        Section("threads", "Throughput against threads", _threads(pictures), pictures=pictures.get("threads", ())),
    )
    return [section for section in sections if section.paragraphs or section.sheet or section.pictures]


def _accuracy(found: Found) -> tuple[str, ...]:
    known = any(result.accuracy for entry in found.entries for result in entry.results)
    return () if known else ("Not known: these results are of an edgefuse that did not look at the answers.",)


def _stages(pictures: Mapping[str, tuple[Picture, ...]]) -> tuple[str, ...]:
    return ("The bars show each stage where it begins and ends in an answer.",) if pictures.get("stages") else ()


def _threads(pictures: Mapping[str, tuple[Picture, ...]]) -> tuple[str, ...]:
    words = "Where a run measured no throughput, it is that of one answer after another: 1 / the median."
    return (words,) if pictures.get("threads") else ()


def _memory(found: Found) -> Iterator[str]:
    yield "What all processes held. Memory of their own counts against a machine's limit; pages of files give way."
    for entry in found.entries:
        memory = entry.results[0].memory
        if len(memory.get("timeline") or ()) < 2:
            yield f"{entry.label}: memory over time was not recorded."
        growth = memory.get("growth") or {}
        if "anon_bytes_per_hour" in growth:
            said = "which is a leak" if growth.get("leak") else "which shows no leak"
            rate = growth["anon_bytes_per_hour"] / 2**20
            yield f"{entry.label}: memory of their own changed by {rate:+.1f} MiB an hour, {said}."


def _heat(found: Found) -> Iterator[str]:
    """For each machine what could not be measured, and why; and what a meter of energy covers."""
    for machine in found.machines:
        results = [result for entry in found.entries if entry.machine == machine for result in entry.results]
        meters = [meter for result in results for meter in result.meters]
        if not meters:
            yield f"{machine}: no meter was read beside the run."
        missing = {meter["name"]: meter["not_measurable"] for meter in meters if "not_measurable" in meter}
        for name, why in missing.items():
            yield f"{machine}: {name} is not measurable. {why}"
        covered = {meter["name"]: meter["info"]["covers"] for meter in meters if "covers" in (meter.get("info") or {})}
        for name, what in covered.items():
            yield f"{machine}: {name}: {what}"
        bits = [value for result in results for _, value in values_of(result, "bits")]
        if bits and not any(int(value) & NOW_BITS for value in bits):
            yield f"{machine}: it was not slowed down at any time it was looked at."
