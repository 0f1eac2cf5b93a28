"""How far a figure moves when the same thing is measured again.

Queries of one process are alike: it has its memory where it has it, and the machine's other work comes and goes over
seconds. An interval out of single queries takes them for independent and is far too narrow. So a run is cut into
parts that another run would have too: its processes, or, of a single process, stretches of consecutive queries (batch
means, Law, Simulation Modeling and Analysis, section 9.5.3). Each part gives its own figure; their spread s, on the
logarithm, since disturbances multiply, tells how far another run of as many parts lies: t * s * sqrt(2 / parts), where
the parts of both runs vary alike. That holds of a mean. The median of all queries moves farther: where parts differ, it
is nearly their median, whose variance is up to pi / 2 times that of their mean, for normal errors.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise

from edgefuse.percentiles import percentile
from edgefuse_bench.result import Query
from edgefuse_bench.student import student

STRETCHES = 10
"""Of a run in a single process."""

FEWEST = 3
"""Parts below which there is no interval: of two it would say nothing."""

OF_MEDIANS = math.sqrt(math.pi / 2)

Interval = tuple[float, float]


def median_interval(queries: Sequence[Query]) -> Interval | None:
    """Where the median time of an answer lies in another run, in nanoseconds."""
    return another_run(median_ns(queries), [median_ns(part) for part in parts_of(queries)], OF_MEDIANS)


def rate_interval(queries: Sequence[Query]) -> Interval | None:
    """Where the samples a second lie in another run."""
    return another_run(rate(queries), [rate(part) for part in parts_of(queries)])


def median_ns(queries: Sequence[Query]) -> int:
    """The median time of an answer."""
    return percentile([query.total_ns for query in queries], 0.5)


def rate(queries: Sequence[Query]) -> float:
    """Samples a second, of queries that follow each other."""
    return len(queries) / (sum(query.total_ns for query in queries) / 1e9)


def another_run(figure: float, parts: Sequence[float], factor: float = 1.0) -> Interval | None:
    """Where `figure` of another run lies, 19 times in 20; None where there are too few parts.

    Args:
        figure: of the whole run, above 0.
        parts: the same figure of each of the run's parts.
        factor: how much farther the figure moves than the mean of the parts'.
    """
    if len(parts) < FEWEST:
        return None
    spread = statistics.stdev(map(math.log, parts))
    reach = math.exp(factor * student(len(parts) - 1) * spread * math.sqrt(2 / len(parts)))
    return figure / reach, figure * reach


def parts_of(queries: Sequence[Query]) -> list[list[Query]]:
    """The queries by process; of fewer processes than an interval needs, in stretches of consecutive queries."""
    processes = sorted({query.process for query in queries})
    if FEWEST <= len(processes) < len(queries):
        return [[query for query in queries if query.process == process] for process in processes]
    return stretches(queries, STRETCHES)


def stretches(queries: Sequence[Query], count: int) -> list[list[Query]]:
    """`count` stretches of consecutive queries, as equal as they can be; fewer where there are fewer queries."""
    count = min(count, len(queries))
    bounds = [len(queries) * index // count for index in range(count + 1)]
    return [list(queries[low:high]) for low, high in pairwise(bounds)]
