"""How far a figure moves when the same thing is measured again.

Queries of one process are alike: it has its memory where it has it, and the machine's other work comes and goes over
seconds. An interval out of single queries takes them for independent and is far too narrow. So a run is cut into
parts that another run would have too: its processes, or, of a single process, stretches of consecutive queries (batch
means, Law, Simulation Modeling and Analysis, section 9.5.3). Each part gives its own figure; their spread s, on the
logarithm, since disturbances multiply, tells how far another run of as many parts lies.

Parts are not independent either. A machine's pace wanders on all scales of time alike: the Allan deviation of processes
in a row is flat from seconds to minutes (bench/measure_drift.py), which is flicker noise. Means of longer runs then lie
no closer to each other, and Student's interval of independent parts holds the next run the less often the longer the
runs are. What flicker noise says is t * s * sqrt(of_neighbours(parts)); where parts are independent after all, that is
too wide, never too narrow.
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

Interval = tuple[float, float]


def median_interval(queries: Sequence[Query]) -> Interval | None:
    """Where the median time of an answer lies in another run, in nanoseconds."""
    return another_run(median_ns(queries), [median_ns(part) for part in parts_of(queries)])


def rate_interval(queries: Sequence[Query]) -> Interval | None:
    """Where the samples a second lie in another run."""
    return another_run(rate(queries), [rate(part) for part in parts_of(queries)])


def median_ns(queries: Sequence[Query]) -> int:
    """The median time of an answer."""
    return percentile([query.total_ns for query in queries], 0.5)


def rate(queries: Sequence[Query]) -> float:
    """Samples a second, of queries that follow each other."""
    return len(queries) / (sum(query.total_ns for query in queries) / 1e9)


def another_run(figure: float, parts: Sequence[float]) -> Interval | None:
    """Where `figure` of another run lies, 19 times in 20; None where there are too few parts.

    Args:
        figure: of the whole run, above 0.
        parts: the same figure of each of the run's parts.
    """
    if len(parts) < FEWEST:
        return None
    spread = statistics.stdev(map(math.log, parts))
    reach = math.exp(student(len(parts) - 1) * spread * math.sqrt(of_neighbours(len(parts))))
    return figure / reach, figure * reach


def of_neighbours(parts: int) -> float:
    """Variance of the difference of two neighbouring runs' means, over the variance of the `parts` of one run.

    For flicker noise: its Allan variance is the same for runs of any length, half of what is asked for; the variance
    of N parts is N ln N / (2 (N - 1) ln 2) of that (Barnes' bias function B1, in Riley, NIST SP 1065).
    """
    in_parts = 1.0 if parts == 1 else (parts - 1) / (parts * math.log(parts))  # of one: the limit
    return 4 * math.log(2) * in_parts


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
