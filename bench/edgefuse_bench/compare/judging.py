"""What a pair of configurations says: its rows, each with a verdict, and whether it is slower than allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from edgefuse.percentiles import percentile
from edgefuse_bench.compare.interval import Estimate, Ratio, ratio, ratio_of_estimates
from edgefuse_bench.compare.machines import changes, in_words, same_machine
from edgefuse_bench.compare.matching import Pair
from edgefuse_bench.configuration import Configuration, Result

RATES = ("Offline", "Sustained")
"""Scenarios that are judged by how much they answer in a second."""
TOTAL, THROUGHPUT, MEMORY = "total", "throughput", "peak memory"

Kind = Literal["ns", "per second", "bytes"]
Verdict = Literal["faster", "slower", "more", "less", "no difference shown", ""]
VERDICTS: dict[Kind, tuple[Verdict, Verdict]] = {
    "ns": ("faster", "slower"),
    "per second": ("slower", "faster"),
    "bytes": ("less", "more"),
}
"""Of an interval that lies wholly below 1, and wholly above."""


@dataclass(frozen=True)
class Row:
    """One figure of both sides."""

    name: str
    kind: Kind
    baseline: float
    """The median; of several runs, the median of their medians."""
    candidate: float
    ratio: Ratio

    @property
    def verdict(self) -> Verdict:
        """What the interval says; nothing where there is none."""
        if self.ratio.interval is None:
            return ""
        low, high = self.ratio.interval
        below, above = VERDICTS[self.kind]
        return below if high < 1 else above if low > 1 else "no difference shown"


@dataclass(frozen=True)
class Comparison:
    """A pair, judged."""

    configurations: tuple[Configuration, Configuration]
    runs: tuple[int, int]
    rows: tuple[Row, ...]
    remarks: tuple[str, ...]
    same_machine: bool
    emulated: bool

    def row(self, name: str) -> Row | None:
        """The row of this name."""
        return next((row for row in self.rows if row.name == name), None)

    @property
    def headline(self) -> Row | None:
        """What the pair is judged by: throughput where that was measured, else the time of an answer."""
        return self.row(THROUGHPUT) if self.configurations[0].scenario in RATES else self.row(TOTAL)


def judge(pair: Pair) -> Comparison:
    """Compare everything that both sides of a pair have; no times where one of them was emulated."""
    everything = (*pair.baseline, *pair.candidate)
    emulated = any(result.get("emulated") for result in everything)
    rows = [] if emulated else list(_times(pair))
    peaks = [
        [[float(result["memory"]["peak_rss_bytes"])] for result in side] for side in (pair.baseline, pair.candidate)
    ]
    rows.append(_row(MEMORY, "bytes", *peaks))
    cards = pair.baseline[0]["machine"], pair.candidate[0]["machine"]
    same = all(same_machine(cards[0], result["machine"]) for result in everything)
    return Comparison(
        configurations=pair.configurations,
        runs=(len(pair.baseline), len(pair.candidate)),
        rows=tuple(rows),
        remarks=tuple(_remarks(pair, cards, same=same, emulated=emulated)),
        same_machine=same,
        emulated=emulated,
    )


def _times(pair: Pair) -> Iterator[Row]:
    sides = pair.baseline, pair.candidate

    def row(name: str, kind: Kind, values: Callable[[Result], Sequence[float]]) -> Row:
        return _row(name, kind, *([values(result) for result in side] for side in sides))

    everything = [*pair.baseline, *pair.candidate]
    if all(result.get("throughput") for result in everything):
        rate = row(THROUGHPUT, "per second", lambda result: [result["throughput"]["samples_per_second"]])
        yield _own_interval(rate, [_rate(result) for result in everything])
    if all(result["queries"] for result in everything):
        total = row(TOTAL, "ns", lambda result: [query["total_ns"] for query in result["queries"]])
        yield _own_interval(total, [_median(result) for result in everything])
        for stage in _stages(everything):
            yield row(stage, "ns", partial(_stage_ns, stage))
    if all(result.get("first") for result in everything):
        yield row("first answer", "ns", lambda result: [result["open_ns"] + result["first"]["total_ns"]])


def _own_interval(row: Row, estimates: Sequence[Estimate | None]) -> Row:
    """With the interval of two single runs' own ones, where that is the wider: they know best how much they vary."""
    if len(estimates) != 2 or None in estimates:
        return row
    own, found = ratio_of_estimates(*(each for each in estimates if each)), row.ratio.interval
    assert own.interval is not None
    narrower = found is None or found[1] / found[0] < own.interval[1] / own.interval[0]
    return replace(row, ratio=own) if narrower else row


def _rate(result: Result) -> Estimate | None:
    found = result["throughput"]
    return (found["samples_per_second"], tuple(found["interval"])) if found.get("interval") else None


def _median(result: Result) -> Estimate | None:
    interval = result.get("total_interval_ns")
    return (percentile([query["total_ns"] for query in result["queries"]], 0.5), tuple(interval)) if interval else None


def _stage_ns(stage: str, result: Result) -> list[int]:
    return [query["stages_ns"][stage] for query in result["queries"]]


def _stages(results: Sequence[Result]) -> list[str]:
    """Stages that took time in every query of all; none where files of two schemas divide an answer otherwise."""
    if len({result["schema"] for result in results}) > 1:
        return []
    queries = [query["stages_ns"] for result in results for query in result["queries"]]
    return [name for name in queries[0] if name != "load" and all(query.get(name, 0) > 0 for query in queries)]


def _row(name: str, kind: Kind, baseline: Sequence[Sequence[float]], candidate: Sequence[Sequence[float]]) -> Row:
    before, after = (percentile([percentile(run, 0.5) for run in runs], 0.5) for runs in (baseline, candidate))
    return Row(name, kind, before, after, ratio(baseline, candidate))


def _remarks(pair: Pair, cards: Sequence[Mapping[str, Any]], *, same: bool, emulated: bool) -> Iterator[str]:
    if pair.differs:
        yield f"they differ in: {', '.join(pair.differs)}"
    if not same:
        yield f"two machines are compared, not two versions: {in_words(cards[0])} before, {in_words(cards[1])} now"
    elif changed := list(changes(*cards)):
        yield f"changed on the machine: {', '.join(changed)}"
    if emulated:
        yield "emulated: no times are compared, for those of an emulator say nothing about a device"
    if len(pair.baseline) == len(pair.candidate) == 1:
        yield "one run each: the interval knows what changes within a run, not what changes from run to run"
    if len({result["schema"] for result in (*pair.baseline, *pair.candidate)}) > 1:
        yield "the stages are not compared: an older edgefuse divided an answer into other ones"
