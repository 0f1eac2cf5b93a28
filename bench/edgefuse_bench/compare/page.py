"""A comparison as text of at most 100 columns."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from edgefuse_bench.compare.judging import Comparison, Kind

WIDEST_NAME = 16
"""Letters of a file's name that a column has room for."""
TITLES = ("before", "after")
"""Of the columns where a name is longer."""


def page(comparison: Comparison, names: tuple[str, str]) -> Iterator[str]:
    """The lines of one pair; `names` are those of the two files."""
    yield str(comparison.configurations[1])
    before, after = names
    if max(map(len, names)) > WIDEST_NAME:
        yield from (f"{title:<8}{name}" for title, name in zip(TITLES, names, strict=True))
        before, after = TITLES
    yield f"{'':<14}{before:>17}{after:>17}{'ratio':>8}  95 % interval"
    for row in comparison.rows:
        cells = "".join(f"{_amount(value, row.kind):>17}" for value in (row.ratio.baseline, row.ratio.candidate))
        interval = row.ratio.interval
        reach = "" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"
        yield f"{row.name:<14}{cells}{row.ratio.value:>8.3f}  {reach:<17}{row.verdict}".rstrip()
    yield from (f"{name:<14}{one:>17}{other:>17}" for name, one, other in comparison.accuracy)
    for remark in comparison.remarks:
        yield from wrap(remark, 100, initial_indent="note  ", subsequent_indent="      ")
    yield from wrap(sentence(comparison, names[1]), 100)


def sentence(comparison: Comparison, name: str) -> str:
    """The verdict in one sentence."""
    row = comparison.headline
    if comparison.emulated or row is None:
        return f"{name}: no times to compare"
    what = "as many answers in a second" if row.kind == "per second" else "the baseline's time"
    if row.ratio.interval is None:
        return f"{name}: no verdict, for there is too little to tell noise by; {row.ratio.value:.2f} times {what}"
    low, high = row.ratio.interval
    where = "" if comparison.processes > 1 else " in the one process of each"
    return f"{name}: {row.verdict}{where}, {row.ratio.value:.2f} times {what} ({low:.2f} to {high:.2f})"


def _amount(value: float, kind: Kind) -> str:
    match kind:
        case "ns":
            return f"{value / 1e6:.2f} ms"
        case "per second":
            return f"{value:.3g} /s"
        case "bytes":
            return f"{value / 2**20:.0f} MiB"
