"""The figures of a report, each small enough to be read on a phone."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgefuse.figures.canvas import FUSED, IMAGE, INK, MAJORITY, TEXT, Figure, house_style, panels

SIZE = (4.2, 2.7)
"""Inches of a panel."""

POINTS = 400
"""Of a line at most: an hour's run must not make a page of megabytes."""
LEGEND = 56
"""Letters of a line of a legend."""

DECODE, TOKENISE = "#cc79a7", "#56b4e9"
STAGES = {"decode": DECODE, "image": IMAGE, "tokenise": TOKENISE, "text": TEXT, "head": FUSED}
"""The colour of each stage of an answer; any other is grey."""
COLOURS = (TEXT, IMAGE, FUSED, MAJORITY, DECODE, TOKENISE)
STYLES = ("-", "--", ":", "-.")

Doubles = NDArray[np.float64]


class Bar(NamedTuple):
    """One stage of an answer, in milliseconds."""

    name: str
    start: float
    length: float


class Series(NamedTuple):
    """A named line; y may come with its interval."""

    name: str
    x: Doubles
    y: Doubles
    low: Doubles | None = None
    high: Doubles | None = None


@house_style()
def waterfall(bars: Sequence[Bar], limit: float) -> Figure:
    """Each stage where it begins and ends in an answer, the first on top; no bar ends after `limit` milliseconds."""
    width, _ = SIZE
    figure, [[axis]] = panels(size=(width, 0.75 + 0.27 * len(bars)))
    for row, bar in enumerate(bars):
        axis.barh(row, bar.length, left=bar.start, height=0.62, color=STAGES.get(bar.name, MAJORITY), linewidth=0)
        axis.annotate(
            f"{bar.length:,.0f} ms" if bar.length >= 100 else f"{bar.length:.3g} ms",
            (bar.start + bar.length, row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axis.set_yticks(range(len(bars)), [bar.name for bar in bars])
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(len(bars) - 0.5, -0.5)
    axis.set_xlim(0, 1.2 * limit)  # with room for the words behind the last bar
    axis.grid(axis="y", visible=False)
    axis.set_xlabel("milliseconds since the question")
    return figure


@house_style()
def distribution(lines: Sequence[tuple[str, Doubles]]) -> Figure:
    """For each name the share of answers (n,) that took at most so many milliseconds."""
    width, height = SIZE
    names = [fill(name, LEGEND) for name, _ in lines]
    figure, [[axis]] = panels(size=(width, height + _legend_height(names)))
    for number, (name, (_, values)) in enumerate(zip(names, lines, strict=True)):
        ordered = np.sort(values)
        share = np.arange(1, len(ordered) + 1) / len(ordered)
        shown = np.unique(np.linspace(0, len(ordered) - 1, min(len(ordered), POINTS)).astype(int))
        ordered, share = ordered[shown], share[shown]
        axis.step(np.r_[ordered[0], ordered], np.r_[0, share], where="post", label=name, **_line(number))
    smallest = min(values.min() for _, values in lines)
    largest = max(values.max() for _, values in lines)
    if largest > 6 * smallest:
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.minorticks_off() if largest > 60 * smallest else axis.xaxis.set_minor_formatter(_sparse)
    axis.set_ylim(0, 1.02)
    axis.set_yticks([0, 0.25, 0.5, 0.75, 0.9, 1], ["0", "25 %", "median", "75 %", "90 %", "all"])
    axis.set_xlabel("milliseconds")
    if len(lines) > 1:
        figure.legend(loc="outside lower left")
    return figure


@house_style()
def memory(seconds: Doubles, own: Doubles, files: Doubles, measured: float | None) -> Figure:
    """MiB (t,) that all processes held, on top of each other; `measured`: the second at which warm-up was over."""
    figure, [[axis]] = panels(size=SIZE)
    seconds, own, files = seconds[_starts(len(seconds))], _most(own), _most(files)
    axis.stackplot(seconds, own, files, colors=(TEXT, TOKENISE), labels=("their own", "files"), linewidth=0, alpha=0.9)
    if measured is not None:
        axis.axvline(measured, color=INK, linewidth=0.9, linestyle="--", label="warm-up is over")
    axis.set_ylim(0, 1.15 * max(1.0, float((own + files).max())))
    axis.set_xlim(0, max(seconds[-1], 1e-3))
    axis.set_xlabel("seconds")
    axis.set_ylabel("MiB")
    figure.legend(loc="outside lower left", ncols=3)
    return figure


@house_style()
def readings(lines: Sequence[tuple[str, Series]], slowed: Sequence[tuple[float, float]]) -> Figure:
    """A panel for each unit and its line over seconds; the spans of time in which the machine was slowed are shaded."""
    width, height = SIZE
    figure, axes = panels(len(lines), 1, size=(width, height * (1 if len(lines) == 1 else 0.72)), sharex=True)
    for (axis,), (unit, line), colour in zip(axes, lines, (IMAGE, TEXT, FUSED), strict=False):
        axis.plot(line.x[_starts(len(line.x))], _most(line.y), color=colour, marker="o" if len(line.x) < 40 else "")
        for start, end in slowed:
            axis.axvspan(start, end, color=DECODE, alpha=0.3, linewidth=0)
        axis.set_ylabel(f"{line.name}, {unit}")
        if np.ptp(line.y) < 0.02 * max(abs(line.y).max(), 1):  # a steady line is no dramatic one
            middle = float(line.y.mean())
            axis.set_ylim(middle - 0.05 * abs(middle) - 1, middle + 0.05 * abs(middle) + 1)
    axes[-1][0].set_xlabel("seconds")
    return figure


@house_style()
def throughput(lines: Sequence[Series]) -> Figure:
    """Answers per second over the number of threads."""
    width, height = SIZE
    names = [fill(line.name, LEGEND) for line in lines]
    figure, [[axis]] = panels(size=(width, height + _legend_height(names)))
    for number, (name, line) in enumerate(zip(names, lines, strict=True)):
        style = _line(number)
        axis.plot(line.x, line.y, marker="o", label=name, **style)
        if line.low is not None and line.high is not None:
            axis.vlines(line.x, line.low, line.high, color=style["color"], linewidth=1)
    axis.set_xticks(sorted({float(x) for line in lines for x in line.x}))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_ylim(0, 1.1 * max(float(np.max(line.y if line.high is None else line.high)) for line in lines))
    axis.set_xlabel("threads")
    axis.set_ylabel("answers per second")
    figure.legend(loc="outside lower left")
    return figure


def _starts(count: int) -> NDArray[np.int64]:
    """Where each of at most `POINTS` stretches of so many values begins."""
    return np.unique(np.linspace(0, count, POINTS + 1).astype(np.int64)[:-1]) if count > POINTS else np.arange(count)


def _most(values: Doubles) -> Doubles:
    """The largest value of each stretch, so that a peak is seen."""
    return np.maximum.reduceat(values, _starts(len(values)))


def _legend_height(names: Sequence[str]) -> float:
    """Inches that a legend below the axes takes."""
    return 0.18 * sum(1 + name.count("\n") for name in names)


def _line(number: int) -> dict[str, str]:
    """Six colours, then the same with another stroke."""
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": STYLES[number // len(COLOURS) % len(STYLES)]}


def _sparse(value: float, _: int) -> str:
    """Words at 2 and 5 of a decade alone."""
    digit = round(value / 10 ** np.floor(np.log10(value)), 6)
    return f"{value:g}" if digit in (2, 5) else ""
