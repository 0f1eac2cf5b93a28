"""A plan as a page for people, of at most 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import click

from edgefuse.sizes import said_size

WIDTH = 100
INDENT = 11

PARTS = {
    "weights": ("weights_bytes",),
    "repacked": ("repacked_bytes",),
    "keys+values": ("keys_values_bytes",),
    "activations": ("activations_bytes",),
    "engine": ("engine_bytes",),
    "tokenizer": ("tokenizer_bytes",),
    "program": ("process_bytes", "libraries_bytes", "reserve_bytes"),
}
"""Columns of the table of moments, and what each adds up."""


def render(report: dict[str, Any], *, unicode: bool) -> str:
    """The page of `report.report`'s plan, with terminal colours; `unicode=False` keeps to ASCII."""
    device = report["device"]
    said, colour = _verdict(report)
    lines = ["", f"  {click.style(said, bold=True, fg=colour)}", ""]
    for name, candidate in report["encoders"].items():
        size = said_size(candidate["weight_bytes"])
        lines += _row(name, f"{candidate['title']}, {candidate['precision']}, {size}", dim=True)
    lines += _row("memory", f"{said_size(device['memory_bytes'])} {_joined(device['memory_words'])}", dim=True)
    lines += _row("disk", f"{said_size(device['disk_bytes'])} {device['disk_words']}", dim=True)
    lines += ["", *_options(report, unicode), "", *_moments(report)]
    if report["notes"] or report["advice"]:
        lines.append("")
    for sentence in report["notes"]:
        lines += _row("note", sentence, fg="yellow")
    for sentence in report["advice"]:
        lines += _row("advice", sentence, fg="green")
    return "\n".join([*lines, ""])


def _verdict(report: dict[str, Any]) -> tuple[str, str]:
    if not report["fits"]:
        return f"{report['name']}: does not fit", "red"
    return (f"{report['name']}: fits, but slowly", "yellow") if report["slow"] else (f"{report['name']}: fits", "green")


def _joined(words: str) -> str:
    return words if words.startswith("of ") else f"({words})"


def _row(name: str, value: str, **style: Any) -> list[str]:
    first, *more = textwrap.wrap(value, WIDTH - INDENT, break_long_words=False, break_on_hyphens=False)
    return [f"  {click.style(f'{name:<{INDENT - 4}}', **style)}  {first}", *(" " * INDENT + line for line in more)]


def _options(report: dict[str, Any], unicode: bool) -> Iterator[str]:
    yield click.style(f"  {'ways to answer':<70}{'memory':>10}{'disk':>10}", bold=True)
    for option in report["options"]:
        mark, plain, colour = ("✓", "+", "green") if option["fits"] else ("✗", "x", "red")
        if option["fits"] and option["read_again_bytes"]:
            mark, plain, colour = "~", "~", "yellow"
        chosen = [name for name in ("one", "many") if report[f"for_{name}"] == option["key"]]
        words = option["words"] + (f" ({' and '.join(chosen)})" if chosen else "")
        yield (
            f"  {click.style(mark if unicode else plain, fg=colour)} {words:<68}"
            f"{said_size(option['memory_bytes']):>10}{said_size(option['disk_bytes']):>10}"
        )
    yield click.style(
        "  (one), (many): what classify does by itself for one picture, for a folder or a table", dim=True
    )
    if any(option["fits"] and option["read_again_bytes"] for option in report["options"]):
        yield click.style("  ~: fits, and reads the weights from the disk for every answer", dim=True)


def _moments(report: dict[str, Any]) -> Iterator[str]:
    """What one answer takes, moment by moment, in MiB."""
    option = next(option for option in report["options"] if option["key"] == report["for_one"])
    heading = "".join(f"  {name}" for name in PARTS)
    yield click.style("  what one answer takes, moment by moment (MiB)", bold=True)
    yield f"  {'':<10}{'all':>7}{heading}"
    for moment in option["moments"]:
        parts, name = moment["parts"], moment["does"][0]
        columns = "".join(
            f"  {_mib(sum(parts[part] for part in column)):>{len(title)}}" for title, column in PARTS.items()
        )
        yield f"  {name:<10}{_mib(moment['memory_bytes']):>7}{columns}"
    for moment in option["moments"]:
        mapped = moment["parts"]["mapped_bytes"]
        stays = f"; {said_size(mapped)} of weights stay in the mapped file" if mapped else ""
        for way in moment["ways"]:
            yield f"  {moment['does'][0]:<10}  by {way['engine']}, memory {way['memory']}{stays}"


def _mib(size: int) -> str:
    return str(-(-size // 2**20)) if size else "-"
