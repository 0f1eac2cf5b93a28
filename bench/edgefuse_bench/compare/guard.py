"""Whether a comparison is beyond what is allowed: the rule by which a check ends with exit code 5."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgefuse_bench.compare.judging import MEMORY, Comparison
from edgefuse_runtimes.errors import BadInput


def exceeded(
    comparisons: Sequence[Comparison], *, max_slowdown: float | None, max_growth: float | None
) -> Iterator[str]:
    """A phrase for every pair that is slower, or needs more memory, than allowed.

    Args:
        comparisons: of one candidate.
        max_slowdown: 0.1 allows a tenth more time for an answer. The whole interval must lie beyond it.
        max_growth: 0.1 allows a tenth more memory. Of one run each the ratio itself must lie beyond it.

    Raises:
        BadInput: a pair cannot be judged, for its times are another machine's, emulated or those of one process.
    """
    for comparison in comparisons:
        if max_slowdown is not None:
            yield from _slower(comparison, 1 + max_slowdown)
        if max_growth is not None:
            yield from _larger(comparison, 1 + max_growth)


def _larger(comparison: Comparison, allowed: float) -> Iterator[str]:
    row, which = comparison.row(MEMORY), comparison.configurations[1]
    if row is None:
        raise BadInput(
            f"{which}: the baseline is of an older edgefuse that counted memory otherwise, so "
            "--max-growth cannot judge it; measure the baseline again."
        )
    low = row.ratio.value if row.ratio.interval is None else row.ratio.interval[0]
    if low > allowed:
        yield f"{which}: {row.ratio.value:.2f} times the memory, where {allowed:.2f} is allowed"


def _slower(comparison: Comparison, allowed: float) -> Iterator[str]:
    row, again = comparison.headline, "so --max-slowdown cannot judge it"
    which = comparison.configurations[1]
    if comparison.emulated:
        raise BadInput(f"{which}: emulated times say nothing about a device, {again}; measure on one.")
    if not comparison.same_machine:
        raise BadInput(f"{which}: the two files are of different machines, {again}; measure the baseline again here.")
    if comparison.processes < 2:
        raise BadInput(
            f"{which}: one process tells nothing of what changes from one to the next, {again}; measure each side in "
            "three processes or more."
        )
    assert row is not None
    assert row.ratio.interval is not None
    low, high = row.ratio.interval
    if row.kind == "per second":
        low, high = 1 / high, 1 / low
    if low > allowed:
        yield f"{which}: {low:.2f} to {high:.2f} times the baseline's time, where {allowed:.2f} is allowed"
