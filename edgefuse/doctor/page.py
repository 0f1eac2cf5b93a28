"""What `doctor` found, as a page for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import click

WIDTH = 100
INDENT = 13

MARKS = {
    "trusted": ("✓", "+", "green"),
    "installed": ("✓", "+", "green"),
    "not tried": ("·", ".", "yellow"),
    "not installed": ("–", "-", "bright_black"),
    "does not fit": ("✗", "x", "yellow"),
    "not trusted": ("✗", "x", "red"),
}
"""For each state: its mark, the same in ASCII, and a colour."""


def render(report: dict[str, Any], *, unicode: bool) -> str:
    """The page of `examination.examine`'s report, with terminal colours; `unicode=False` keeps to ASCII."""
    can = report["can_answer"]
    said = f"edgefuse {report['edgefuse']} {'can' if can else 'cannot'} answer here"
    lines = ["", f"  {click.style(said, bold=True, fg='green' if can else 'red')}", ""]
    for sentence in report["problems"]:
        lines += _row("problem", sentence, fg="red")
    if report["problems"]:
        lines.append("")
    facts = _facts(report, unicode)
    for name, value in facts.items():
        lines += _row(name, value, dim=True)
    for title, rows in (
        ("engines", _engines(report, unicode)),
        ("kit", _kit(report["kit"], unicode)),
        ("verdicts", _verdicts(report["verdicts"], unicode)),
    ):
        found = list(rows)
        if found:
            lines += ["", f"  {click.style(title, bold=True)}", *found]
    if report["advice"]:
        lines.append("")
    for sentence in report["advice"]:
        lines += _row("advice", sentence, fg="yellow")
    return "\n".join([*lines, ""])


def _row(name: str, value: str, **style: Any) -> list[str]:
    """A name and what is said of it, over as many lines as that takes."""
    first, *more = textwrap.wrap(value, WIDTH - INDENT, break_long_words=False, break_on_hyphens=False) or [""]
    return [f"  {click.style(f'{name:<{INDENT - 4}}', **style)}  {first}", *(" " * INDENT + line for line in more)]


def _facts(report: dict[str, Any], unicode: bool) -> dict[str, str]:
    found, machine = report["platform"], report["machine"]
    if machine is None:
        return {
            "system": " ".join(
                filter(None, (found["system"], found["machine"], f"{found['bits']}-bit", found["libc"]))
            ),
            "python": f"{found['implementation']} {found['python']}",
        }
    packages = ", ".join(f"{one['package']} {one['version'] or '?'}" for one in report["packages"])
    disk, sensors = machine["disk"], machine["sensors"]
    facts = {
        "board": machine["board"] or "",
        "system": f"{machine['system']}, Linux {machine['kernel']}, {found['libc']}",
        "processor": _processor(machine),
        "emulated": machine["emulation"] and f"{machine['emulation']} Times say nothing about a real one.",
        "features": ", ".join(machine["features"]) or "none that matter here",
        "clock": _clock(sensors["clock"], machine),
        "heat": _heat(sensors["temperature"], unicode),
        "throttling": _throttling(sensors["throttling"]),
        "memory": _memory(machine),
        "disk": disk and f"{_size(disk['free_bytes'])} free in {disk['folder']}",
        "python": f"{found['python']} with {packages}",
    }
    return {name: value for name, value in facts.items() if value}


def _processor(machine: dict[str, Any]) -> str:
    cores, limit = machine["physical_cores"], machine["cgroup_cores"]
    words = f"{machine['cpu']} ({machine['architecture']}), {cores} core{'' if cores == 1 else 's'}"
    if limit is None:
        return words
    return f"{words}, limited to the time of {limit:g} core{'' if limit == 1 else 's'} by a control group"


def _memory(machine: dict[str, Any]) -> str:
    limit = machine["cgroup_limit_bytes"]
    words = f"{_memory_size(machine['ram_bytes'])}, {_memory_size(machine['available_bytes'])} available"
    return words + (f", limited to {_memory_size(limit)} by a control group" if limit else "")


def _clock(clock: dict[str, Any], machine: dict[str, Any]) -> str:
    """The clock now and its range; "" where the machine does not tell it."""
    if "mhz" not in clock:
        return ""
    lowest, highest, governor = machine["min_mhz"], machine["max_mhz"], machine["governor"]
    words = f"{clock['mhz']:.0f} MHz"
    if lowest and highest:
        words += f" of {lowest:.0f} to {highest:.0f} MHz"
    return words + (f", governor {governor}" if governor else "")


def _heat(temperature: dict[str, Any], unicode: bool) -> str:
    """The temperature now and where it matters; "" where the machine does not tell it."""
    if "celsius" not in temperature:
        return ""
    limit, degrees = temperature["slows_down_at"], "°C" if unicode else "C"
    return f"{temperature['celsius']:.0f} {degrees}" + (f"; slows down from {limit:.0f} {degrees} on" if limit else "")


def _throttling(throttling: dict[str, Any]) -> str:
    """Whether the machine was slowed down; "" where it does not tell."""
    if "times" in throttling:
        times = throttling["times"]
        return f"{times} time{'' if times == 1 else 's'} since the start, by heat"
    if "now" not in throttling:
        return ""
    present, past = (", ".join(throttling[when]) or "none" for when in ("now", "since_start"))
    return f"now {present}; since the start {past}"


def _engines(report: dict[str, Any], unicode: bool) -> Iterator[str]:
    for engine in report["engines"]:
        kinds = " and ".join(f".{file_format}" for file_format in engine["formats"])
        state = "installed" if engine["installed"] else "not installed"
        words = (
            f"{engine['version'] or ''}  runs {kinds}".strip()
            if engine["installed"]
            else f"not installed: {engine['install']}"
        )
        yield f"  {_mark(state, unicode)} {engine['engine']:<12} {words}"


def _kit(kit: dict[str, Any] | None, unicode: bool) -> Iterator[str]:
    if kit is None:
        return
    yield f"  {kit['name']} {kit['version']}  {click.style(kit['folder'], dim=True)}"
    for encoder in kit["encoders"]:
        yield f"  {encoder['file']}  {click.style(encoder['precision'] + ', ' + _size(encoder['bytes']), dim=True)}"
        if encoder["problem"] and not encoder["engines"]:
            first, *more = textwrap.wrap(encoder["problem"], WIDTH - 6, break_long_words=False)
            yield f"    {_mark('not trusted', unicode)} {first}"
            yield from (" " * 6 + line for line in more)
        for engine in encoder["engines"]:
            state, reason = engine["state"], f": {engine['reason']}" if engine["reason"] else ""
            first, *more = textwrap.wrap(f"{state}{reason}", WIDTH - 19, break_long_words=False)
            yield f"    {_mark(state, unicode)} {engine['engine']:<12} {first}"
            yield from (" " * 19 + line for line in more)


def _verdicts(verdicts: list[dict[str, Any]], unicode: bool) -> Iterator[str]:
    for verdict in verdicts:
        state = "trusted" if verdict["trusted"] else "not trusted"
        threads = f"{verdict['threads']} thread{'' if verdict['threads'] == 1 else 's'}"
        gone = " (is gone)" if verdict["gone"] else ""
        yield f"  {_mark(state, unicode)} {verdict['engine']:<12} {verdict['file']}{gone}"
        yield " " * 17 + click.style(f"{verdict['library']}, {threads}, memory {verdict['memory']}", dim=True)


def _mark(state: str, unicode: bool) -> str:
    mark, plain, colour = MARKS[state]
    return click.style(mark if unicode else plain, fg=colour)


def _memory_size(count: int) -> str:
    """In the units of every sentence about memory."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count >> 20} MiB"


def _size(count: int) -> str:
    """Of files and disks, whose makers count in powers of ten."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
