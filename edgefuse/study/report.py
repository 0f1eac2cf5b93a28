"""A finished study as one page that loads nothing, as Markdown, and as CSV files."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import edgefuse
from edgefuse.card import machine_words
from edgefuse.embeddings import Table
from edgefuse.evaluation.pictures import figures_of
from edgefuse.extras import importable
from edgefuse.jobs import on_all_cores
from edgefuse.leaks import leak_sentences
from edgefuse.progress import Progress, silent
from edgefuse.study import contents, figures
from edgefuse.study.config import Study, slug
from edgefuse.study.gap import gaps_of
from edgefuse.study.pooling import Pooled, pool
from edgefuse.study.raw import read_raw
from edgefuse.study.running import sweep_plan, work_of
from edgefuse.study.sheets import Sheet, as_csv, as_markdown, change, share
from edgefuse.sweep.report import summary
from edgefuse.sweep.running import Sweep, run_sweep
from edgefuse.training.report import DRAWN
from edgefuse.training.trainer import PAPER
from edgefuse_runtimes.files import write_bytes

PAGE = "report.html"


class Picture(NamedTuple):
    """A figure of the page."""

    name: str
    """Of its files."""
    caption: str
    figure: figures.Figure


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it."""

    name: str
    title: str
    paragraphs: tuple[str, ...] = ()
    sheet: Sheet | None = None
    pictures: tuple[Picture, ...] = ()

    @property
    def rows(self) -> list[tuple[list[str], bool]]:
        """The sheet's cells, and whether the row is set off."""
        return [] if self.sheet is None else list(zip(self.sheet.cells(), self.sheet.strong_rows(), strict=True))


@dataclass(frozen=True)
class Found:
    """All that a report tells."""

    study: Study
    tables: dict[str, Table]
    pooled: tuple[Pooled, ...]
    sweeps: dict[str, Sweep]
    raw: tuple[dict[str, Any], ...]

    @property
    def best(self) -> Pooled:
        """The fused head with the highest mean macro-F1."""
        return max(self.pooled, key=lambda one: one.spread("fused", "macro_f1")[0])


def gather(study: Study, output: Path, *, jobs: int, progress: Progress = silent) -> Found:
    """Read a finished study and judge it.

    Raises:
        BadInput: it is unfinished, damaged, or its inputs have changed.
    """
    works = {name: work_of(study, output, name) for name in study.names}
    pairs = [(name, fusion) for name in study.names for fusion in study.training.fusion]
    judged = on_all_cores(partial(partial, pool, study, works), pairs, min(jobs, len(pairs)))
    pooled = {(one.name, one.fusion): one for one in progress("judging", judged, len(pairs))}
    sweeps = {}
    if study.sweep is not None:
        for name, work in works.items():
            sweeps[name] = run_sweep(sweep_plan(study, work), output / "sweeps" / slug(name), jobs=1, progress=progress)
    raw = tuple(read_raw(path, name) for name, path in study.raw.items())
    tables = {name: work.table for name, work in works.items()}
    return Found(study, tables, tuple(pooled[pair] for pair in pairs), sweeps, raw)


def write_report(found: Found, folder: Path, progress: Progress = silent) -> Path:
    """Write `report.html`, `report.md`, a CSV file for each table and PNG and SVG files of the figures.

    Raises:
        BadInput: matplotlib or jinja2 is not installed.
    """
    sections = list(progress("drawing", _sections(found), None))
    pictures = [picture for section in sections for picture in section.pictures]
    rendered = {picture.name: figures.render(picture.figure, "png") for picture in pictures}
    for section in sections:
        if section.sheet is not None:
            write_bytes(folder / f"{section.sheet.name}.csv", as_csv(section.sheet))
    for picture in pictures:
        write_bytes(folder / f"{picture.name}.png", rendered[picture.name])
        write_bytes(folder / f"{picture.name}.svg", figures.render(picture.figure, "svg"))
    write_bytes(folder / "report.md", _markdown(found, sections).encode())
    write_bytes(folder / PAGE, _page(found, sections, rendered).encode())
    return folder / PAGE


def headline(found: Found) -> list[str]:
    """What the study says first, as sentences."""
    best = found.best
    mean, deviation = best.spread("fused", "macro_f1")
    sentences = [
        f"Best fused head: {best.name}, {best.fusion} fusion, macro-F1 {share(mean, deviation)} "
        f"(text-only {share(best.spread('text_only', 'macro_f1')[0])}, "
        f"image-only {share(best.spread('image_only', 'macro_f1')[0])})."
    ]
    for method in ("image_only", "text_only"):
        difference = best.judged["differences"][method]["macro_f1"]
        low, high = difference["interval"] or (None, None)
        name = method.replace("_", "-")
        sentences.append(f"Fused minus {name}: {change(difference['value'], low, high)}, {_verdict(low, high)}.")
    return sentences


def _sections(found: Found) -> Iterator[Section]:
    study, pooled, best = found.study, found.pooled, found.best
    drawn = figures_of(best.judged)
    yield Section("accuracy", "Table 1. Accuracy and macro-F1", sheet=contents.accuracy_sheet(study, pooled, found.raw))
    yield Section("differences", "What fusing gains", sheet=contents.difference_sheet(pooled))
    yield Section(
        "classes",
        f"Every class: {best.name}, {best.fusion} fusion",
        sheet=contents.class_sheet(best),
        pictures=_pictures(drawn, "confusion", f"Answers by true class, of all seeds: {_title(best)}"),
    )
    published = contents.paper_sweep(study)
    for name, sweep in found.sweeps.items():
        own = [line.strip() for line in summary(sweep.swept)]
        yield Section(
            f"sweep-{slug(name)}",
            f"The shift: {name}",
            paragraphs=tuple(own if published is None else [*own, published]),
            pictures=(
                Picture(
                    f"sweep-{slug(name)}",
                    f"Accuracy and macro-F1 on {sweep.validation_rows} validation rows of the table's own split, over "
                    "the shift (the paper's Figures 4 to 6). The band is the spread over seeds; the lines are what the "
                    "best of as many draws of noise would give.",
                    figures.sweep_of(sweep),
                ),
            ),
        )
    gaps = gaps_of(found.tables, study.training.match, with_paper=study.like is not None)
    if gaps is not None:
        yield Section(
            "gap",
            gaps.sheet.title,
            sheet=gaps.sheet,
            pictures=(
                Picture(
                    "gap-2d",
                    "Training rows, first two principal components of both modalities together, before and after the "
                    "shift (the paper's Figure 2)",
                    gaps.plane,
                ),
                Picture("gap-3d", "The same in three components (the paper's Figure 3)", gaps.space),
            ),
        )
    yield Section(
        "calibration",
        "Calibration",
        sheet=contents.calibration_sheet(pooled),
        pictures=_pictures(drawn, "reliability", f"How often answers are right, by how sure they are: {_title(best)}"),
    )
    referral = contents.referral_sheet(pooled)
    if referral is not None:
        yield Section(
            "referral",
            "Referring the least sure",
            sheet=referral,
            pictures=_pictures(
                drawn, "risk-coverage", f"How often answers are right when only the surest are given: {_title(best)}"
            ),
        )
    if best.judged["subgroups"]:
        yield Section("subgroups", f"Subgroups: {_title(best)}", sheet=contents.subgroup_sheet(best))
    yield Section("memory", "Table 2. Memory", sheet=contents.memory_sheet(pooled, found.tables, found.raw))
    yield Section("time", "Table 3. Time", sheet=contents.time_sheet(pooled, found.tables, found.raw))
    paper = contents.paper_sheet(study)
    if paper is not None:
        yield Section("paper", paper.title, sheet=paper)


def _pictures(drawn: Mapping[str, figures.Figure], name: str, caption: str) -> tuple[Picture, ...]:
    return (Picture(name, caption, drawn[name]),) if name in drawn else ()


def _page(found: Found, sections: Sequence[Section], rendered: dict[str, bytes]) -> str:
    jinja2 = importable("jinja2", "report")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(files(__package__).joinpath("page.html").read_text(encoding="utf-8"))
    html: str = template.render(
        name=found.study.name,
        subtitle=_subtitle(found),
        lead=" ".join(headline(found)),
        leaks=leaks(found),
        notes=_notes(found),
        tiles=_tiles(found),
        sections=[
            {
                "name": section.name,
                "title": section.title,
                "paragraphs": section.paragraphs,
                "sheet": section.sheet,
                "rows": section.rows,
                "pictures": [
                    {"caption": one.caption, "data": _data_uri(rendered[one.name])} for one in section.pictures
                ],
            }
            for section in sections
        ],
        made=_made(found),
        version=edgefuse.__version__,
    )
    return html


def _markdown(found: Found, sections: Sequence[Section]) -> str:
    lines = [f"# {found.study.name}", "", f"{_subtitle(found)}.", ""]
    lines += [f"**{sentence}**\n" for sentence in leaks(found)]
    lines += [f"> {sentence}\n" for sentence in _notes(found)]
    lines += [*headline(found), ""]
    for section in sections:
        lines += [f"## {section.title}", ""]
        lines += [f"{paragraph}\n" for paragraph in section.paragraphs]
        if section.sheet is not None:
            lines.append(as_markdown(section.sheet))
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
    titles = {"fused": f"fused: {_title(best)}", "image_only": "image-only", "text_only": "text-only"}
    for method, words in titles.items():
        tiles.append({"figure": share(*best.spread(method, "macro_f1")), "words": f"macro-F1, {words}"})
    difference = best.judged["differences"]["image_only"]["macro_f1"]
    low, high = difference["interval"] or (None, None)
    tiles.append({"figure": change(difference["value"], low, high), "words": "macro-F1, fused minus image-only"})
    return tiles


def leaks(found: Found) -> list[str]:
    """What makes its figures flatter, as sentences."""
    return list(
        dict.fromkeys(sentence for table in found.tables.values() for sentence in leak_sentences(table.dataset))
    )


def _notes(found: Found) -> list[str]:
    return [DRAWN.capitalize() + "."] if any(table.dataset["drawn"] for table in found.tables.values()) else []


def _made(found: Found) -> list[tuple[str, str]]:
    study, training = found.study, found.study.training
    facts = [
        ("Seeds", ", ".join(map(str, range(training.seeds))) + ": each of the folds and of the training"),
        (
            "Split",
            f"{training.folds} folds by group, stratified; of each fold's other rows about 20 % are validation rows, "
            "which choose epoch, shift and temperature; no test row is read before",
        ),
        ("Shifts tried", ", ".join(f"{shift:g}" for shift in training.shifts)),
        ("Widths matched by", training.match),
        ("Notes' components", "all coordinates" if training.text_components is None else str(training.text_components)),
    ]
    changed = {key: value for key, value in asdict(training.settings).items() if value != asdict(PAPER)[key]}
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


def _title(one: Pooled) -> str:
    return f"{one.name}, {one.fusion} fusion"


def _verdict(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "of too few groups to tell"
    if low > 0:
        return "more than chance gives"
    return "less than nothing" if high < 0 else "which may be chance"


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
