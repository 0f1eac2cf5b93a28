"""A report as one page that loads nothing, as Markdown, or as CSV: as its file's name ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import edgefuse
from edgefuse.evaluation.page import short
from edgefuse.extras import importable
from edgefuse.figures.inline import inline_svg
from edgefuse.pages.sections import markdown
from edgefuse.pages.sheets import as_csv
from edgefuse.pages.template import fill
from edgefuse.progress import Progress, silent
from edgefuse_bench.report import tables
from edgefuse_bench.report.cards import facts
from edgefuse_bench.report.entries import Entry, Found
from edgefuse_bench.report.pictures import pictures_of
from edgefuse_bench.report.rows import row
from edgefuse_bench.report.sections import sections_of
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import write_bytes

DRAWN = "The samples are drawn by edgefuse: times count, answers mean nothing."
EMULATED = (
    "Emulated: a program imitates the processor. What was measured there shows that it works; its times say nothing "
    "about a device and are left out."
)


def write_report(found: Found, path: Path, progress: Progress = silent) -> None:
    """Write the report at `path`, which ends in .html, .md or .csv.

    Raises:
        BadInput: the path ends otherwise, or an HTML page lacks matplotlib or jinja2.
    """
    match path.suffix:
        case ".html":
            text = _page(found, progress)
        case ".md":
            text = "\n".join(_markdown(found))
        case ".csv":
            text = as_csv(tables.csv_sheet(found)).decode()
        case other:
            raise BadInput(
                f"A report cannot be written as {path.name}: {other or 'no ending'} is not .html, .md or .csv."
            )
    write_bytes(path, text.encode())


def remarks(found: Found) -> Iterator[str]:
    """What must be known before a number is read."""
    if any(result.samples.get("drawn") for entry in found.entries for result in entry.results):
        yield DRAWN
    if any(entry.emulated for entry in found.entries):
        yield EMULATED


def _page(found: Found, progress: Progress) -> str:
    for module in ("matplotlib", "jinja2"):  # before the work, not after it
        importable(module, "report")
    pictures = dict(progress("drawing", pictures_of(found), None))
    sections = sections_of(found, pictures)
    markup = importable("markupsafe", "report").Markup
    return fill(
        __package__,
        extra="report",
        title=_title(found),
        subtitle=_subtitle(found),
        lead=_lead(found),
        remarks=list(remarks(found)),
        tiles=list(_tiles(found)),
        sections=sections,
        drawn={
            picture.name: markup(inline_svg(picture.figure, picture.name, picture.caption))  # our own, escaped there
            for several in pictures.values()
            for picture in several
        },
        machines={name: list(facts(card)) for name, card in found.machines.items()},
        runs=list(_runs(found)),
        notes=found.notes,
        version=edgefuse.__version__,
    )


def _markdown(found: Found) -> Iterator[str]:
    yield from (f"# {_title(found)}", "", f"{_subtitle(found)}.", "", _lead(found), "")
    yield from (f"> {sentence}\n" for sentence in remarks(found))
    for section in sections_of(found, {}):
        yield from markdown(section)
    for name, card in found.machines.items():
        yield from (f"## {name}", "", "| | |", "| --- | --- |")
        yield from (f"| {term} | {_cell(words)} |" for term, words in facts(card))
        yield ""
    yield from ("## How it was measured", "", "| | |", "| --- | --- |")
    yield from (f"| {_cell(term)} | {_cell(words)} |" for term, words in _runs(found))
    yield ""
    yield from (f"- {sentence}" for sentence in found.notes)
    yield ""


def _title(found: Found) -> str:
    kits = list(dict.fromkeys(entry.configuration.kit for entry in found.entries))
    machines = list(found.machines)
    where = machines[0] if len(machines) == 1 else f"{len(machines)} machines"
    match kits:
        case [kit]:
            return f"What {kit} costs on {where}"
        case [one, other]:
            return f"What {one} and {other} cost on {where}"
    return f"What {len(kits)} kits cost on {where}"


def _subtitle(found: Found) -> str:
    days = sorted({entry.results[0].started[:10] for entry in found.entries})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    scenarios = ", ".join(dict.fromkeys(entry.configuration.scenario for entry in found.entries))
    return f"Measured {when}: {scenarios}"


def _lead(found: Found) -> str:
    number = len(found.entries)
    if number == 1:
        return f"{found.entries[0].configuration}."
    return f"{number} configurations, each measured in processes of its own. They differ in what names them below."


def _tiles(found: Found) -> Iterator[dict[str, str]]:
    rows = [(entry, row(entry)) for entry in found.entries]
    several = len(rows) > 1

    def tile(figure: str, words: str, entry: Entry) -> dict[str, str]:
        return {"figure": figure, "words": f"{words}: {entry.label}" if several else words}

    timed = [(entry, each) for entry, each in rows if each.get("median_ns")]
    if timed:
        entry, each = min(timed, key=lambda pair: float(pair[1]["median_ns"] or 0))
        words = "least median of an answer" if several else "median of an answer"
        yield tile(f"{tables.milliseconds(float(each['median_ns'] or 0))} ms", words, entry)
    rated = [(entry, each) for entry, each in rows if each.get("per_second")]
    if rated:
        entry, each = max(rated, key=lambda pair: float(pair[1]["per_second"] or 0))
        yield tile(f"{tables.rate(float(each['per_second'] or 0))} /s", "most answers in a second", entry)
    entry, each = min(rows, key=lambda pair: float(pair[1]["peak_rss_bytes"] or 0))
    words = "least peak memory" if several else "peak memory"
    yield tile(f"{tables.mebibytes(float(each['peak_rss_bytes'] or 0))} MiB", words, entry)
    golden = [(entry, each) for entry, each in rows if each.get("golden_labels_changed") is not None]
    if golden:
        entry, each = max(golden, key=lambda pair: int(pair[1]["golden_labels_changed"] or 0))
        words = "golden samples whose label this machine changes" + (", at the most" if several else "")
        yield tile(f"{each['golden_labels_changed']} of {each['golden_n']}", words, entry)
    labelled = [(entry, each) for entry, each in rows if each.get("samples_accuracy") is not None]
    if labelled:
        entry, each = min(labelled, key=lambda pair: float(pair[1]["samples_accuracy"] or 0))
        low, high = (each[f"samples_accuracy_{end}"] for end in ("low", "high"))
        spread = "" if low is None or high is None else f" ({short(float(low), 2)} to {short(float(high), 2)})"
        words = f"{'least ' if several else ''}accuracy here{spread}, on {each['samples_n']} labelled samples"
        yield tile(tables.share(float(each["samples_accuracy"] or 0)), words, entry)
    yield from _accuracy_tile(found)


def _accuracy_tile(found: Found) -> Iterator[dict[str, str]]:
    """Of the kit, where all results are of one that was made of real samples."""
    kits = [entry.results[0].accuracy.get("kit") for entry in found.entries]
    kit = kits[0]
    if kit and not kit.get("drawn") and all(each == kit for each in kits):
        words = f"accuracy of the kit on {kit.get('n')} test rows, in the workshop"
        yield {"figure": tables.share(kit.get("accuracy")), "words": words}


def _runs(found: Found) -> Iterator[tuple[str, str]]:
    for entry in found.entries:
        each = row(entry)
        first = entry.results[0]
        samples = f"{first.samples.get('count', '?')} {first.samples.get('source', '')} samples"
        processes = f"{each['processes']} process" + ("" if each["processes"] == 1 else "es")
        yield (
            entry.label,
            f"{entry.configuration}; {each['queries']} queries in {processes} over {samples}; "
            f"edgefuse {each['edgefuse']}, {first.started}; kit {entry.configuration.digest[:16]}",
        )


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ")
