"""What a pair of configurations says: its rows, each with a verdict, and what must be known beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from edgefuse.percentiles import percentile
from edgefuse_bench.compare.accuracy import accuracy_rows
from edgefuse_bench.compare.interval import Figure, Ratio, in_turn, processes, ratio, ratio_of_values
from edgefuse_bench.compare.machines import changes, in_words, same_machine
from edgefuse_bench.compare.matching import Pair
from edgefuse_bench.configuration import Configuration
from edgefuse_bench.result import Query, Result
from edgefuse_bench.spread import median_ns, rate

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
    processes: int
    """Of the side that has fewer."""
    rows: tuple[Row, ...]
    accuracy: tuple[tuple[str, str, str], ...]
    """Rows of words: name, baseline, candidate."""
    remarks: tuple[str, ...]
    same_machine: bool
    emulated: bool

    def row(self, name: str) -> Row | None:
        """The row of this name."""
        return next((row for row in self.rows if row.name == name), None)

    @property
    def headline(self) -> Row | None:
        """What the pair is judged by: throughput where that was measured, else the time of an answer."""
        rated = self.row(THROUGHPUT) if self.configurations[0].scenario in RATES else None
        return rated or self.row(TOTAL)


def judge(pair: Pair) -> Comparison:
    """Compare everything that both sides of a pair have; no times where one of them was emulated."""
    everything = (*pair.baseline, *pair.candidate)
    emulated = any(result.emulated for result in everything)
    rows = [*([] if emulated else _times(pair)), *_peak(pair)]
    cards = pair.baseline[0].machine, pair.candidate[0].machine
    same = all(same_machine(cards[0], result.machine) for result in everything)
    return Comparison(
        configurations=pair.configurations,
        processes=min(len(processes(side)) for side in pair.sides),
        rows=tuple(rows),
        accuracy=tuple(accuracy_rows(pair.baseline[0], pair.candidate[0])),
        remarks=tuple(_remarks(pair, cards, same=same, emulated=emulated)),
        same_machine=same,
        emulated=emulated,
    )


def _times(pair: Pair) -> Iterator[Row]:
    everything = [*pair.baseline, *pair.candidate]
    if all(result.throughput for result in everything):
        yield _row(THROUGHPUT, "per second", pair, rate)
    yield _row(TOTAL, "ns", pair, median_ns)
    for stage in _stages(everything) if _alike(pair) else ():
        yield _row(stage, "ns", pair, partial(_median_stage, stage))
    if pair.configurations[0].scenario != "Cold":
        before, after = ([result.open_ns + result.first.total_ns for result in side] for side in pair.sides)
        turns = in_turn(pair.baseline, pair.candidate)
        yield Row("first answer", "ns", ratio_of_values(before, after, turns=turns))


def _peak(pair: Pair) -> Iterator[Row]:
    if _alike(pair):
        before, after = ([float(result.memory["peak_rss_bytes"]) for result in side] for side in pair.sides)
        yield Row(MEMORY, "bytes", ratio_of_values(before, after, turns=True))  # memory does not wander


def _median_stage(stage: str, queries: Sequence[Query]) -> float:
    return percentile([query.stages_ns[stage] for query in queries], 0.5)


def _stages(results: Sequence[Result]) -> Iterator[str]:
    """Those that took time in every query of all."""
    for name in results[0].stages:
        if all(query.stages_ns.get(name, 0) > 0 for result in results for query in result.queries):
            yield name


def _alike(pair: Pair) -> bool:
    """Whether both sides cut an answer into the same stages and count memory alike, as files of one schema do."""
    return len({result.schema for side in pair.sides for result in side}) == 1


def _row(name: str, kind: Kind, pair: Pair, figure: Figure) -> Row:
    return Row(name, kind, ratio(pair.baseline, pair.candidate, figure))


def _remarks(pair: Pair, cards: Sequence[Mapping[str, Any]], *, same: bool, emulated: bool) -> Iterator[str]:
    if pair.differs:
        yield f"they differ in: {', '.join(pair.differs)}"
    asked = [[result.samples.get(name) for name in ("source", "count")] for side in pair.sides for result in side]
    if any(each != asked[0] for each in asked):
        yield "they answered different samples, which may take different time"
    if not same:
        yield f"two machines are compared, not two versions: {in_words(cards[0])} before, {in_words(cards[1])} now"
    elif changed := list(changes(*cards)):
        yield f"changed on the machine: {', '.join(changed)}"
    if emulated:
        yield "emulated: no times are compared, for those of an emulator say nothing about a device"
    if all(len(processes(side)) == 1 for side in pair.sides):
        yield "one process each: the intervals know what changes within a run, not what changes from one to the next"
    if not _alike(pair):
        yield "stages and memory are not compared: the older edgefuse divided an answer and counted memory otherwise"
