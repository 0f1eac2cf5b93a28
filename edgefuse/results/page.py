"""Stored answers as pages for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import click

from edgefuse.results.clock import local
from edgefuse.results.inputs import on_one_line
from edgefuse.results.records import Record


def lines(records: Iterable[Record]) -> Iterator[str]:
    """One line an answer: number, time, label with its probability, referral, case, kit."""
    for record in records:
        answer = _printable(record.answer)
        sure = f"{max(answer['probabilities'].values()):4.0%}"
        refer = click.style("REFER", fg="yellow") if answer["referred"] else "     "
        label = answer["label"] or "none"
        kit = f"{answer['kit']['name']} {answer['kit']['version']}"
        case = f"  {_printable(record.case)}" if record.case else ""
        yield f"{record.number:>6}  {when(record)}  {refer}  {sure}  {label:<12}  {kit}{case}"


def page(record: Record) -> list[str]:
    """All that is stored of one answer."""
    answer = _printable(record.answer)
    kit, times = answer["kit"], answer["timings_ms"]
    referred = f"{click.style('REFER', bold=True, fg='yellow')}  ask a clinician: {answer['reason']}"
    engines = [
        f"{modality} {engine} ({answer['precisions'][modality]}{_from_cache(answer, modality)})"
        for modality, engine in answer["engines"].items()
        if engine is not None
    ]
    facts: dict[str, object] = {
        "number": record.number,
        "case": _printable(record.case) or "-",
        "stored": when(record) + _clock(record),
        "start": f"{record.boot_id or 'unknown'}, {record.since_boot_s:.1f} s after it",
        "label": click.style(answer["label"] or "none of the classes", bold=True),
        **({"referral": referred} if answer["referred"] else {}),
        **{
            f"  {name}": f"{probability:6.1%}"
            for name, probability in sorted(answer["probabilities"].items(), key=lambda item: -item[1])
        },
        "kit": f"{kit['name']} {kit['version']}, digest {kit['digest']}",
        "edgefuse": record.edgefuse,
        "engines": ", ".join(engines),
        "missing": ", ".join(answer["missing"]) or "-",
        "time": ", ".join(f"{stage} {value:.1f} ms" for stage, value in times.items()),
        "memory": f"{answer['memory']['peak_rss_bytes'] / 2**20:.0f} MiB at the most",
        "picture": record.kept_picture or "not kept",
        "picture hash": record.picture_hash or "-",
        "note": on_one_line(record.kept_note or "") or "not kept",
        "note hash": record.note_hash or "-",
    }
    width = max(len(name) for name in facts)
    remarks = [f"{click.style('warning', fg='yellow')}  {sentence}" for sentence in answer["notes"]]
    return [*(f"{click.style(f'{name:<{width}}', dim=True)}  {value}" for name, value in facts.items()), *remarks]


def when(record: Record) -> str:
    """The time on this device's clock face, with a question mark where nothing had set the clock."""
    return local(record.time) + (" " if record.clock_synchronised else "?")


def _clock(record: Record) -> str:
    if record.clock_synchronised is None:
        return "  whether the clock was right is not known"
    return "" if record.clock_synchronised else "  the clock was not synchronised"


def _from_cache(answer: dict[str, list[str]], modality: str) -> str:
    return ", from the cache" if modality in answer["cached"] else ""


def _printable(value: Any) -> Any:
    """A stored value without what a terminal would obey: the log that is read may be somebody else's."""
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return on_one_line(value) if isinstance(value, str) else value
