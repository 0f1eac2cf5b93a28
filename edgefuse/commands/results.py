"""`edgefuse results`: the answers that were stored on this device."""

from __future__ import annotations

import contextlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefuse.commands.options import FOLDER

if TYPE_CHECKING:
    from edgefuse.results.log import ResultsLog
    from edgefuse.results.records import Record, Wanted

EXAMPLE = """\b
Examples: edgefuse results list --since 2026-11-01 --referred
          edgefuse results show 17
          edgefuse results export csv answers.csv
          edgefuse results purge --before 2026-01-01"""

FORMATS = ("csv", "jsonl")


@click.group("results", epilog=EXAMPLE)
def command() -> None:
    """List, show, export or purge the answers that 'classify' and 'ask' stored on this device."""


_FILTERS = (
    click.option("--kit", metavar="NAME", help="Only answers of this kit: its name, or how its digest begins."),
    click.option("--case", metavar="ID", help="Only answers to this case."),
    click.option("--since", metavar="DATE", help="Only answers from this day or time on, such as 2026-11-28T14:30."),
    click.option("--before", metavar="DATE", help="Only answers before this day or time."),
    click.option("--referred/--not-referred", default=None, help="Only answers that refer to a clinician, or do not."),
)

other_log = click.option(
    "--log",
    "other",
    metavar="FILE",
    type=FOLDER,
    help="Read this log, such as a damaged one that was set aside, as far as it can be read.",
)


def filters(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose answers."""
    for option in reversed(_FILTERS):
        function = option(function)
    return function


@command.command("list", epilog="Example: edgefuse results list --case A-17")
@filters
@other_log
@click.option("--last", metavar="N", type=click.IntRange(min=1), help="Only the last N of them.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as 'export jsonl' writes them.")
def list_answers(other: Path | None, last: int | None, as_json: bool, **chosen: Any) -> None:
    """List the answers that were stored: number, time, referral, label with its probability, kit and case.

    A question mark behind a time says that nothing had set the device's clock.
    """
    from edgefuse.results.exporting import json_lines
    from edgefuse.results.page import lines

    wanted = _wanted(**chosen)
    with _log() as log:
        records = _records(log, other, wanted)
        if last is not None:
            newest = deque(records(), maxlen=last)
            records = partial(iter, newest)
        if as_json:
            for line in json_lines(records):
                click.echo(line, nl=False)
            return
        shown = False
        for line in lines(records()):
            click.echo(line)
            shown = True
        if not shown:
            click.echo(f"No answer of this kind is stored in {other or log.path}.", err=True)


@command.command("show", epilog="Example: edgefuse results show 17")
@click.argument("number", type=click.IntRange(min=1))
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def show(number: int, as_json: bool) -> None:
    """Show all that is stored of the answer NUMBER."""
    from edgefuse.results.page import page

    with _log() as log:
        record = log.record(number)
    click.echo(json.dumps(record.to_json()) if as_json else "\n".join(page(record)))


@command.command("export", epilog="Example: edgefuse results export csv answers.csv --kit ham-mini")
@click.argument("form", metavar="csv|jsonl", type=click.Choice(FORMATS))
@click.argument("file", metavar="[FILE]", type=FOLDER, default=Path("-"))
@filters
@other_log
def export(form: str, file: Path, other: Path | None, **chosen: Any) -> None:
    """Write the answers that were stored as a CSV table or as JSON lines to FILE, or to standard output.

    FILE is there when it is whole, and for its owner only; one that was there is replaced. In the table, a text that a
    spreadsheet would take for a formula has an apostrophe in front.
    """
    from edgefuse.results.exporting import csv_lines, json_lines

    wanted = _wanted(**chosen)
    with _log() as log:
        lines = (csv_lines if form == "csv" else json_lines)(_records(log, other, wanted))
        if str(file) == "-":
            for line in lines:
                click.echo(line.encode(), nl=False)
            return
        count = _write(file, lines) - (form == "csv")
    click.echo(f"{file} holds {count} {'answer' if count == 1 else 'answers'}.", err=True)


@command.command("purge", epilog="Example: edgefuse results purge --case A-17")
@click.option("--before", metavar="DATE", help="Answers before this day or time, such as 2026-01-01.")
@click.option("--case", metavar="ID", help="Answers to this case.")
@click.option("--all", "everything", is_flag=True, help="Every answer, and damaged logs that were set aside.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge(before: str | None, case: str | None, everything: bool, yes: bool) -> None:
    """Remove answers for good, with pictures and notes that were kept: no file of the log holds them any more.

    With both --before and --case, those that both hold for.
    """
    if everything == (before is not None or case is not None):
        raise click.UsageError("Say which answers: --before DATE, --case ID or both, or --all.")
    wanted = _wanted(before=before, case=case)
    with _log() as log:
        count = log.count(wanted)
        answers = "1 answer" if count == 1 else f"{count} answers"
        aside = f" and {len(log.set_aside)} files of logs that were set aside" if everything and log.set_aside else ""
        if not yes and not click.confirm(f"Remove {answers}{aside} from {log.path.parent} for good?", err=True):
            click.echo("Nothing was removed.", err=True)
            return
        log.purge_all() if everything else log.purge(wanted)
    click.echo(f"{answers}{aside} removed from {log.path.parent}.", err=True)


@contextlib.contextmanager
def _log() -> Iterator[ResultsLog]:
    """This user's log; what is to be said of it comes after its answers."""
    from edgefuse.results.log import ResultsLog, results_folder

    with ResultsLog.open(results_folder()) as log:
        yield log
        for remark in log.take_remarks():
            click.echo(remark, err=True)


def _records(log: ResultsLog, other: Path | None, wanted: Wanted) -> Callable[[], Iterable[Record]]:
    """What gives the answers of this user's log or of the other one, as often as it is called."""
    from edgefuse.results.copies import salvaged

    if other is None:
        return lambda: log.records(wanted)
    found = list(salvaged(other, wanted, partial(click.echo, err=True)))
    return lambda: found


def _wanted(
    *,
    kit: str | None = None,
    case: str | None = None,
    since: str | None = None,
    before: str | None = None,
    referred: bool | None = None,
) -> Wanted:
    from edgefuse.results.clock import parse_time
    from edgefuse.results.inputs import case_id
    from edgefuse.results.records import Wanted

    return Wanted(
        kit=kit,
        case=case_id(case),
        since=None if since is None else parse_time(since, "--since"),
        before=None if before is None else parse_time(before, "--before"),
        referred=referred,
    )


def _write(path: Path, lines: Iterable[str]) -> int:
    """Write all lines or none; how many they are."""
    import os

    from edgefuse_runtimes.files import new_file

    count = 0
    with new_file(path) as file:
        os.fchmod(file.fileno(), 0o600)
        for line in lines:
            file.write(line.encode())
            count += 1
    return count
