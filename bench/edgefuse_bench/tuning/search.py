"""The search for the fastest way to run each encoder, within a time: all that needs no kit and no process.

Every round runs each configuration that is still in question once, so that whatever else the machine does falls on all
of them, and only times of the same round are compared. What is clearly slower is dropped after a round. What is usual
stays, unless another way was faster in more rounds than chance would give, and clearly.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import comb
from statistics import median

from edgefuse.kits.tuned import MODALITIES, StageChoice
from edgefuse_runtimes.spec import Modality

LEAST_ROUNDS = 5
"""With fewer not even a win in every round is beyond chance."""
MOST_ROUNDS = 9
CHANCE = 0.05
"""Largest chance of so many wins where both ways are equally fast (sign test, one-sided)."""
GAIN = 0.95
"""Largest median ratio to the usual way for which anything is changed."""
CLOSE = (1.5, 1.25, 1.1)
"""After each round, and after all later ones: a way this many times as slow as the fastest is dropped."""
FEWEST, MOST = 3, 16
"""Queries of a run."""
SLOW = 4
"""A run that takes this many times as long as the usual one is stopped, and its configuration dropped."""


@dataclass(frozen=True)
class Configuration:
    """What one run is started with, for both encoders."""

    engine: str
    """"auto", whatever is fastest and trusted, or "numpy"."""
    threads: int
    precision: str | None
    """None: the kit's main files."""


@dataclass(frozen=True)
class Ran:
    """What one run found of one encoder."""

    choice: StageChoice
    """What ran it in truth."""
    nanoseconds: float
    """Median of its queries."""


class TooSlowError(Exception):
    """A run was stopped since it took longer than it may."""


Measure = Callable[[Configuration, int, float], Mapping[Modality, Ran]]
"""Runs a configuration with so many queries in at most so many seconds; raises TooSlowError."""


@dataclass(frozen=True)
class Times:
    """Nanoseconds of each way to run one encoder, by round."""

    usual: StageChoice
    rounds: Mapping[StageChoice, Mapping[int, float]]

    def median(self, choice: StageChoice) -> float:
        """Over all its rounds."""
        return median(self.rounds[choice].values())

    def ratios(self, choice: StageChoice) -> list[float]:
        """To the usual way, in each round that has both."""
        usual = self.rounds[self.usual]
        return [value / usual[number] for number, value in self.rounds[choice].items() if number in usual]

    def is_better(self, choice: StageChoice) -> bool:
        """Whether it is faster than the usual way, clearly and beyond chance."""
        ratios = self.ratios(choice)
        wins = sum(ratio < 1 for ratio in ratios)
        return bool(ratios) and chance_of_wins(wins, len(ratios)) <= CHANCE and median(ratios) <= GAIN

    @property
    def best(self) -> StageChoice:
        """The fastest of those that are better than the usual way; that one, if none is."""
        better = [choice for choice in self.rounds if self.is_better(choice)]
        return min(better, key=lambda choice: median(self.ratios(choice)), default=self.usual)

    def in_question(self, limit: float) -> set[StageChoice]:
        """Those but the usual one whose median is within `limit` times the fastest one's."""
        fastest = min(map(self.median, self.rounds))
        return {choice for choice in self.rounds if self.median(choice) <= limit * fastest} - {self.usual}


@dataclass
class Search:
    """A search and what it has found so far."""

    configurations: Sequence[Configuration]
    """The usual one first."""
    measure: Measure
    budget_s: float
    clock: Callable[[], float] = time.monotonic
    rounds: int = 0
    """Those that were finished."""
    runs: int = 0
    too_slow: list[Configuration] = field(default_factory=list)
    """Those whose run was stopped, though there was more time."""
    _measured: dict[Modality, dict[StageChoice, dict[int, list[float]]]] = field(default_factory=dict)
    _choices: dict[Configuration, Mapping[Modality, StageChoice]] = field(default_factory=dict)
    _seconds: dict[Configuration, float] = field(default_factory=dict)
    """Of its last run."""
    _first_s: float = 0.0
    """Of the usual configuration's first run."""
    _query_s: float = 0.0
    """Of a query of it."""

    def run(self) -> None:
        """Run the search. Its first run is made whatever it takes."""
        began, queries = self.clock(), FEWEST
        alive = list(self.configurations)
        for number in range(MOST_ROUNDS):
            turn = number % len(alive)
            for configuration in [*alive[turn:], *alive[:turn]]:
                left = self.budget_s - (self.clock() - began)
                if not self.runs:
                    self._run(configuration, number, queries, math.inf)
                    queries = self._affordable()
                    continue
                usually = self._usual_seconds(queries)
                if self._seconds.get(configuration, usually) > left:
                    return
                try:
                    self._run(configuration, number, queries, min(SLOW * usually, left))
                except TooSlowError:
                    if left <= SLOW * usually:
                        return
                    if configuration != self.configurations[0]:  # which an idle machine will run in time again
                        self.too_slow.append(configuration)
            self.rounds += 1
            alive = self._alive(CLOSE[min(number, len(CLOSE) - 1)])
            if alive == [self.configurations[0]] or (self.rounds >= LEAST_ROUNDS and self._is_settled(alive)):
                return

    def times(self) -> dict[Modality, Times]:
        """What was found, by modality."""
        usual = self._choices[self.configurations[0]]
        return {
            modality: Times(
                usual[modality],
                {
                    choice: {number: median(values) for number, values in by_round.items()}
                    for choice, by_round in self._measured[modality].items()
                },
            )
            for modality in MODALITIES
        }

    def _run(self, configuration: Configuration, number: int, queries: int, limit_s: float) -> None:
        started = self.clock()
        found = self.measure(configuration, queries, limit_s)
        self._seconds[configuration] = self.clock() - started
        self._choices[configuration] = {modality: ran.choice for modality, ran in found.items()}
        self.runs += 1
        for modality, ran in found.items():
            by_round = self._measured.setdefault(modality, {}).setdefault(ran.choice, {})
            by_round.setdefault(number, []).append(ran.nanoseconds)

    def _usual_seconds(self, queries: int) -> float:
        """What the usual way takes for a run of so many queries, by its first run."""
        return self._first_s + (queries - FEWEST) * self._query_s

    def _affordable(self) -> int:
        """Queries of every later run, so that as many rounds as are needed have room in the time."""
        self._first_s = self._seconds[self.configurations[0]]
        self._query_s = sum(times.median(times.usual) for times in self.times().values()) / 1e9
        a_run = self.budget_s / (LEAST_ROUNDS * len(self.configurations))
        return min(MOST, max(FEWEST, FEWEST + int((a_run - self._first_s) / max(self._query_s, 1e-9))))

    def _alive(self, limit: float) -> list[Configuration]:
        """Configurations that can still tell something about either encoder, the usual one among them."""
        questions = {modality: times.in_question(limit) for modality, times in self.times().items()}
        usual, *others = self.configurations
        return [
            usual,
            *(
                one
                for one in others
                if one not in self.too_slow
                and any(choice in questions[modality] for modality, choice in self._choices[one].items())
            ),
        ]

    def _is_settled(self, alive: Sequence[Configuration]) -> bool:
        """Whether no way that looks clearly faster is still within chance."""
        for modality, times in self.times().items():
            for one in alive:
                choice = self._choices[one][modality]
                looks_better = median(times.ratios(choice) or [1.0]) <= GAIN
                if looks_better and not times.is_better(choice):
                    return False
        return True


def chance_of_wins(wins: int, rounds: int) -> float:
    """The chance of so many wins or more in so many rounds, where each is won with 1/2."""
    return sum(comb(rounds, count) for count in range(wins, rounds + 1)) / float(2**rounds)
