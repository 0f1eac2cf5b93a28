"""The tables of a report, each once, to be written as HTML, Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgefuse.evaluation.page import short, span

Value = float | int | str | None
Row = dict[str, Value]
"""By name."""


def as_it_is(value: Value) -> str:
    """A word, or nothing."""
    return "" if value is None else str(value)


@dataclass(frozen=True)
class Column:
    """One column: what stands above it, which values of a row it shows, and how."""

    title: str
    values: tuple[str, ...]
    """Names of the values, which are the CSV file's columns."""
    show: Callable[..., str] = as_it_is
    """From these values to the cell's words."""

    @property
    def numeric(self) -> bool:
        """Whether its cells are numbers, which stand at the right."""
        return self.show is not as_it_is


@dataclass(frozen=True)
class Sheet:
    """A table: its rows hold a value for every name that a column asks for."""

    name: str
    """Of its CSV file."""
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Value], ...]
    remarks: tuple[str, ...] = ()
    strong: str = "strong"
    """Rows with a true value of this name are set off."""

    def cells(self) -> list[list[str]]:
        """The rows as words."""
        return [
            [column.show(*(row.get(name) for name in column.values)) for column in self.columns] for row in self.rows
        ]

    def strong_rows(self) -> list[bool]:
        """Which rows are set off."""
        return [bool(row.get(self.strong)) for row in self.rows]


def number(digits: int) -> Callable[[float | None], str]:
    """Shows a number with so many digits."""
    return lambda value: "" if value is None else f"{value:,.{digits}f}"


def scientific(value: float | None) -> str:
    """Shows a number of any size."""
    return "" if value is None else f"{value:.1e}"


def share(value: float | None, deviation: float | None = None) -> str:
    """A figure between 0 and 1, and its standard deviation."""
    if value is None:
        return ""
    return short(value) + ("" if deviation is None else f" ± {short(deviation)}")


def within(value: float | None, low: float | None, high: float | None) -> str:
    """A figure and its interval."""
    return (
        "" if value is None else f"{short(value)} {span(None if low is None or high is None else (low, high))}".rstrip()
    )


def change(value: float | None, low: float | None, high: float | None) -> str:
    """A difference and its interval, to three digits: whether it reaches 0 is what it is read for."""
    if value is None:
        return ""
    if low is None or high is None:
        return short(value, signed=True)
    return f"{short(value, signed=True)} [{short(low, signed=True)}, {short(high, signed=True)}]"


def as_markdown(sheet: Sheet) -> str:
    """The sheet as a Markdown table, without its title."""
    lines = ["| " + " | ".join(column.title for column in sheet.columns) + " |", "|" + " --- |" * len(sheet.columns)]
    for cells, strong in zip(sheet.cells(), sheet.strong_rows(), strict=True):
        words = (f"**{cell}**" if strong and cell else cell for cell in (cell.replace("|", "\\|") for cell in cells))
        lines.append("| " + " | ".join(words) + " |")
    return "\n".join([*lines, "", *(f"{remark}\n" for remark in sheet.remarks)])


def as_csv(sheet: Sheet) -> bytes:
    """The sheet's values, not rounded, one column each."""
    names = list(dict.fromkeys(name for column in sheet.columns for name in column.values))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([["" if (value := row.get(name)) is None else value for name in names] for row in sheet.rows])
    return text.getvalue().encode()


def estimate(name: str, value: Any, interval: Sequence[float] | None) -> dict[str, Value]:
    """The values of a figure with its interval: NAME, NAME_low and NAME_high."""
    low, high = interval or (None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}
