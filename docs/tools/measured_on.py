"""Site hook: write the tables of measured machines out of the results in docs/measured, so that they cannot differ."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgefuse.pages.sheets import Column, Sheet, as_markdown
from edgefuse_bench.inputs import read_file_or_folder
from edgefuse_bench.report import tables
from edgefuse_bench.report.cards import facts
from edgefuse_bench.report.entries import Found, gather

MARK = "<!-- the measured machines stand here -->"
FOLDER = Path(__file__).parents[1] / "measured"

AWAITED = ("Raspberry Pi 5", "Raspberry Pi 4", "Raspberry Pi 3", "Raspberry Pi Zero 2 W")
"""Boards that edgefuse is made for; their rows are empty until one of them fills them."""


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by the site builder for every page: put the table where a page has the mark."""
    if MARK not in markdown:
        return markdown
    files = [f"- [{file.name}](../measured/{file.name})" for file in sorted(FOLDER.glob("*.json"))]
    return markdown.replace(MARK, "\n".join([*_lines(measured()), *(["", "## Files", ""] if files else []), *files]))


def measured(folder: Path = FOLDER) -> Found | None:
    """What the files hold; None where there are none."""
    return gather(read_file_or_folder(folder)) if any(folder.glob("*.json")) else None


def _lines(found: Found | None) -> Iterator[str]:
    machines = {} if found is None else found.machines
    awaited = [board for board in AWAITED if not any(name.startswith(board) for name in machines)]
    if found is not None:
        for name, card in machines.items():
            yield from ("", f"## {name}", "", _sentence(found, name), "")
            yield as_markdown(_sheet(found, name))
            yield from ("", "| | |", "| --- | --- |")
            yield from (f"| {term} | {_escape(words)} |" for term, words in facts(card))
    yield from ("", "## Not measured yet", "", "| device | median ms | peak MiB |", "| --- | --- | --- |")
    yield from (f"| {board} | {tables.NONE} | {tables.NONE} |" for board in awaited)


def _sheet(found: Found, machine: str) -> Sheet:
    """Of one machine, with what was run in columns."""
    own = Found({machine: found.machines[machine]}, tuple(e for e in found.entries if e.machine == machine))
    sheet = tables.overview(own)
    chosen = (
        Column("kit", ("kit",)),
        Column("scenario", ("scenario",)),
        Column("encoders", ("image_engine", "image_precision", "text_engine", "text_precision"), _encoders),
        Column("threads", ("threads",), str),
    )
    return Sheet(sheet.name, sheet.title, (*chosen, *sheet.columns[1:]), sheet.rows, sheet.remarks)


def _sentence(found: Found, machine: str) -> str:
    entries = tuple(entry for entry in found.entries if entry.machine == machine)
    results = [result for entry in entries for result in entry.results]
    days = sorted({result.started[:10] for result in results})
    versions = ", ".join(sorted({str(result.edgefuse) for result in results}))
    notes = map(_escape, Found({}, entries).notes)
    return " ".join([f"Measured on {' and '.join(days)} with edgefuse {versions}.", *notes])


def _encoders(image_engine: str, image_precision: str, text_engine: str, text_precision: str) -> str:
    image, text = f"{image_engine} {image_precision}", f"{text_engine} {text_precision}"
    return image if image == text else f"{image}, {text}"


def _escape(text: str) -> str:
    return text.replace("|", "&#124;").replace("<", "&lt;").replace("*", "&#42;").replace("_", "&#95;")
