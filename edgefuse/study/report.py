"""A finished study as one page that loads nothing, as Markdown, and as CSV files."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import edgefuse
from edgefuse.card import machine_words
from edgefuse.embeddings.table import Table
from edgefuse.extras import importable
from edgefuse.figures.canvas import render
from edgefuse.pages.sections import Section, markdown
from edgefuse.pages.sheets import as_csv, change, share
from edgefuse.pages.template import fill
from edgefuse.progress import Progress, silent
from edgefuse.study.found import Found, headline, leaks
from edgefuse.study.sections import sections_of
from edgefuse.training.report import DRAWN
from edgefuse.training.trainer import PAPER
from edgefuse_runtimes.files import write_bytes

PAGE = "report.html"


def write_report(found: Found, folder: Path, progress: Progress = silent) -> Path:
    """Write `report.html`, `report.md`, a CSV file for each table and PNG and SVG files of the figures.

    Raises:
        BadInput: matplotlib or jinja2 is not installed.
    """
    sections = list(progress("drawing", sections_of(found), None))
    pictures = [picture for section in sections for picture in section.pictures]
    rendered = {picture.name: render(picture.figure, "png") for picture in pictures}
    for section in sections:
        if section.sheet is not None:
            write_bytes(folder / f"{section.sheet.name}.csv", as_csv(section.sheet))
    for picture in pictures:
        write_bytes(folder / f"{picture.name}.png", rendered[picture.name])
        write_bytes(folder / f"{picture.name}.svg", render(picture.figure, "svg"))
    write_bytes(folder / "report.md", _markdown(found, sections).encode())
    write_bytes(folder / PAGE, _page(found, sections, rendered).encode())
    return folder / PAGE


def _page(found: Found, sections: Sequence[Section], rendered: dict[str, bytes]) -> str:
    pictures = [picture for section in sections for picture in section.pictures]
    markup = importable("markupsafe", "report").Markup
    image = markup('<img src="data:image/png;base64,{}" alt="{}">')
    return fill(
        __package__,
        extra="report",
        name=found.study.name,
        subtitle=_subtitle(found),
        lead=" ".join(headline(found)),
        leaks=leaks(found),
        notes=_notes(found),
        tiles=_tiles(found),
        sections=sections,
        drawn={
            picture.name: image.format(base64.b64encode(rendered[picture.name]).decode(), picture.caption)
            for picture in pictures
        },
        made=_made(found),
        version=edgefuse.__version__,
    )


def _markdown(found: Found, sections: Sequence[Section]) -> str:
    lines = [f"# {found.study.name}", "", f"{_subtitle(found)}.", ""]
    lines += [f"**{sentence}**\n" for sentence in leaks(found)]
    lines += [f"> {sentence}\n" for sentence in _notes(found)]
    lines += [*headline(found), ""]
    for section in sections:
        lines += markdown(section)
        lines += [f"![{picture.caption}]({picture.name}.png)\n" for picture in section.pictures]
    lines += ["## How it was made", "", "| | |", "| --- | --- |"]
    lines += [f"| {term} | {words} |" for term, words in _made(found)]
    return "\n".join([*lines, ""])


def _subtitle(found: Found) -> str:
    judged = found.pooled[0].judged
    training = found.study.training
    dataset = next(iter(found.tables.values())).dataset["name"]
    return (
        f"{dataset}, {judged['samples']} samples of {judged['groups']} groups, {len(judged['classes'])} classes, "
        f"{training.folds} folds x {training.seeds} seeds"
    )


def _tiles(found: Found) -> list[dict[str, str]]:
    best = found.best
    tiles = []
    titles = {"fused": f"fused: {best.title}", "image_only": "image-only", "text_only": "text-only"}
    for method, words in titles.items():
        tiles.append({"figure": share(*best.spread(method, "macro_f1")), "words": f"macro-F1, {words}"})
    difference = best.judged["differences"]["image_only"]["macro_f1"]
    low, high = difference["interval"] or (None, None)
    tiles.append({"figure": change(difference["value"], low, high), "words": "macro-F1, fused minus image-only"})
    return tiles


def _notes(found: Found) -> list[str]:
    return [DRAWN.capitalize() + "."] if any(table.dataset["drawn"] for table in found.tables.values()) else []


def _made(found: Found) -> list[tuple[str, str]]:
    study, training = found.study, found.study.training
    best = "chosen by validation rows" if found.chosen_on_validation else "chosen by these very answers"
    facts = [
        ("Seeds", ", ".join(map(str, range(training.seeds))) + ": each of the folds and of the training"),
        (
            "Split",
            f"{training.folds} folds by group, stratified; of each fold's other rows about 20 % are validation rows, "
            "which choose epoch, shift and temperature; no test row is read before",
        ),
        ("Fused head shown in detail", f"{found.best.title}, {best}" if len(found.pooled) > 1 else found.best.title),
        ("Shifts tried", ", ".join(f"{shift:g}" for shift in training.shifts)),
        ("Widths matched by", training.match),
        ("Notes' components", "all coordinates" if training.text_components is None else str(training.text_components)),
    ]
    views = [f"{name} {table.view_count}" for name, table in found.tables.items() if table.view_count]
    if views:
        facts.append(("Views of each picture to learn from", ", ".join(views)))
    changed = {key: value for key, value in asdict(training.settings).items() if value != asdict(PAPER)[key]}
    changed |= {"average_image": "yes"} if training.average_image else {}
    facts.append(("Training", "; ".join(f"{key} {value}" for key, value in changed.items()) or "as the paper"))
    facts += [
        (f"{name}, {modality}", _encoder_words(table, modality))
        for name, table in found.tables.items()
        for modality in ("image", "text")
    ]
    licences = dict.fromkeys(str(table.dataset["licence"]) for table in found.tables.values())
    facts.append(("Data's licence", ", ".join(licences)))
    facts.append(("This report's machine", machine_words()))
    return [*facts, ("Study", str(study.path.name))]


def _encoder_words(table: Table, modality: str) -> str:
    identity = table.encoders[modality]
    words = [f"{identity['width']} numbers", f"pooling {identity['pooling']}"]
    if isinstance(identity.get("sha256"), str):
        words.append(f"sha256 {identity['sha256'][:16]}")
    if modality in table.cost:
        words.append(f"extracted with {table.cost[modality]['engine']} on {table.cost[modality]['machine']}")
    return ", ".join(words)
