"""The processes of one configuration, one after another, and what they answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgefuse.kits.kit import Kit
from edgefuse.progress import moved
from edgefuse_bench import cold, query_log
from edgefuse_bench.child import Timeline, run_child
from edgefuse_bench.order import GOLDEN, LOG, Order
from edgefuse_bench.query_log import FIRST, MEASURED, WARMUP
from edgefuse_bench.result import SCENARIOS, Query
from edgefuse_bench.samples import Samples
from edgefuse_bench.settings import Settings

LOOK_S = 0.25
"""Seconds between two looks at a process's memory, of which Sustained has `MOST_LOOKS` at the most."""
MOST_LOOKS = 1200

Move = Callable[[int], None]


class Processes:
    """Runs them, and keeps what each one told."""

    def __init__(self, kit: Kit, settings: Settings, samples: Samples, folder: Path) -> None:
        """Nothing is started yet; `folder` is where each process gets a folder to write in."""
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self.timeline = Timeline(time.monotonic_ns())
        self.outcomes: list[dict[str, Any]] = []
        """What each process told, see `measure.measure`."""
        self.golden: tuple[dict[str, str], Path]
        """Precisions of the files that ran the golden samples, and where their vectors are, once all have run."""
        self.queries: list[Query] = []
        self._firsts: list[Query] = []
        self._warmup: list[Query] = []
        self._remarks: list[str] = []
        self._kit, self._settings, self._samples, self._folder = kit, settings, samples, folder

    def ask(self) -> None:
        """Run them all.

        Raises:
            EdgefuseError: what a process refused, or it died.
        """
        if self._settings.scenario == "cold":
            self._ask_cold()
        else:
            self._ask_warm()

    @property
    def first(self) -> Query:
        """The first answer of the first process, with loading."""
        return self._firsts[0]

    @property
    def warmup(self) -> list[Query]:
        """What is kept apart, the first answers of later processes with their loading among it."""
        return sorted([*self._firsts[1:], *self._warmup], key=lambda query: query.start_ns or 0)

    @property
    def notes(self) -> list[str]:
        """Every sentence once."""
        said = [*self._remarks, *(note for outcome in self.outcomes for note in outcome["notes"])]
        unreadable = {index for outcome in self.outcomes for index in outcome["unreadable"]}
        if unreadable:
            said.append(f"{len(unreadable)} of {len(self._samples.asked)} samples cannot be read and were left out.")
        return list(dict.fromkeys(said))

    def folder_of(self, process: int) -> Path:
        """Where a process writes."""
        return self._folder / str(process)

    def _ask_warm(self) -> None:
        """Each process answers several queries; in Offline each answers all of them."""
        settings = self._settings
        queries, repeats, apart = settings.queries or 0, settings.repeats or 1, 1 + settings.warmup
        is_offline = settings.scenario == "offline"
        shares = [queries if is_offline else len(range(number, queries, repeats)) for number in range(repeats)]
        length = round(settings.seconds or 0) or sum(shares) + repeats * apart
        begin = 0
        with moved(f"measuring ({SCENARIOS[settings.scenario]})", length) as move:
            for number, share in enumerate(shares):
                found = self._run(self._order(share, first=begin, asks_golden=number == 0), self.timeline, move)
                self._firsts += found[FIRST]
                self._warmup += found[WARMUP]
                self.queries += found[MEASURED]
                begin += apart + share

    def _ask_cold(self) -> None:
        """Each process answers one query; the first one tells which files to drop from memory before the others."""
        queries = self._settings.queries or 0
        with moved("measuring (Cold)", queries + 1) as move:
            self._firsts += self._run(self._order(1, first=0, names_files=True), self.timeline, move)[MEASURED]
            kit_files = (str(self._kit.file(name).resolve()) for name in self._kit.manifest["files"])
            files = sorted({*kit_files, *self.outcomes[0]["files"]})
            cold.settle(files)
            before, stayed = cold.cached_bytes(files), []
            for number in range(queries):
                cold.drop(files)
                stayed.append(cold.cached_bytes(files))
                self.queries += self._run(self._order(1, first=1 + number), self.timeline, move)[MEASURED]
        # In a process apart, which keeps its encoders open: its memory and its times are in no figure.
        golden = replace(self._order(0, first=0, asks_golden=True), scenario=SCENARIOS["single"])
        self._run(golden, Timeline(time.monotonic_ns()), _nothing)
        self.outcomes.pop()
        self._remarks.append(cold.remark(files, before, stayed))

    def _order(self, queries: int, *, first: int, asks_golden: bool = False, names_files: bool = False) -> Order:
        """What the next process is to do."""
        settings, folder = self._settings, self.folder_of(len(self.outcomes))
        folder.mkdir()
        return Order(
            folder=str(folder),
            kit=str(self._kit.folder.absolute()),
            scenario=SCENARIOS[settings.scenario],
            engine=settings.engine,
            threads=settings.threads,
            precision=settings.precision,
            samples=self._samples.asked,
            first=first,
            warmup=settings.warmup,
            queries=queries,
            seconds=settings.seconds,
            asks_golden=asks_golden,
            names_files=names_files,
        )

    def _run(self, order: Order, timeline: Timeline, move: Move) -> dict[int, list[Query]]:
        """The queries of one process more, by kind."""
        settings, number = self._settings, len(self.outcomes)
        looked = _by_seconds(move, settings.seconds) if settings.seconds else _by_queries(move)
        interval_s = max(LOOK_S, (settings.seconds or 0) / MOST_LOOKS)
        self.outcomes.append(run_child(order, timeline, interval_s, looked))
        if order.asks_golden:
            self.golden = self.outcomes[-1]["golden_precisions"], self.folder_of(number) / GOLDEN
        is_cold = settings.scenario == "cold"
        log = self.folder_of(number) / LOG
        return query_log.read(log, process=number, began_ns=timeline.began_ns, cold=is_cold)


def _nothing(_: int) -> None:
    """Moves no bar."""


def _by_queries(move: Move) -> Callable[[int], None]:
    """Moves a bar by the queries that were answered since the last look."""
    before = 0

    def looked(answered: int) -> None:
        nonlocal before
        move(answered - before)
        before = answered

    return looked


def _by_seconds(move: Move, seconds: float) -> Callable[[int], None]:
    """Moves a bar by the seconds that went by since the last look, once there are answers."""
    began, before = time.monotonic(), 0

    def looked(answered: int) -> None:
        nonlocal before
        now = min(round(seconds), int(time.monotonic() - began)) if answered else 0
        move(now - before)
        before = now

    return looked
