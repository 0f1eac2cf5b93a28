"""SingleStream: one query after another, each as soon as the one before was answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

S = TypeVar("S")

STAGES = ("load", "text", "image", "head")
"""In the order in which they run; "load" is only long in the first answer."""


@dataclass(frozen=True)
class Query:
    """One answer, in nanoseconds."""

    sample: int
    """Which of the samples it was asked."""
    total_ns: int
    """From asking to the answer, on the harness's own clock."""
    stages_ns: dict[str, int]
    """What the classifier itself counted for each of `STAGES`."""


def single_stream(
    answer: Callable[[S], Mapping[str, float]],
    samples: Sequence[S],
    order: Iterable[int],
    clock: Callable[[], int] = time.perf_counter_ns,
) -> list[Query]:
    """Ask for the samples in `order`; `answer` returns its stages in milliseconds."""
    queries = []
    for index in order:
        asked = clock()
        stages = answer(samples[index])
        total = clock() - asked
        queries.append(Query(index, total, {name: round(stages[name] * 1e6) for name in STAGES}))
    return queries
