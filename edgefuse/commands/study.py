"""`edgefuse study`: a whole study out of one file, and its report."""

from __future__ import annotations

from pathlib import Path

import click

from edgefuse.commands.options import FOLDER
from edgefuse.extras import importable
from edgefuse.progress import bar
from edgefuse.study.config import Study, read_study
from edgefuse_runtimes.machine import usable_cores

OUTPUT = click.option(
    "--output",
    type=FOLDER,
    help="Where all of it goes, and is gone on with.  [default: a folder beside CONFIG, of its name]",
)


@click.group("study", epilog="Example: edgefuse study run study.toml && edgefuse study report study.toml")
def command() -> None:
    """Train and judge heads of several encoders, fusions, seeds and folds over one data set, and report on them."""


@command.command("run", epilog="Example: edgefuse study run study.toml")
@click.argument("config", metavar="CONFIG.toml", type=FOLDER)
@OUTPUT
@click.option("--jobs", type=click.IntRange(min=1), help="Heads trained at a time.  [default: the physical cores]")
def run(config: Path, output: Path | None, jobs: int | None) -> None:
    """Do all that the study CONFIG.toml asks for and is not done yet.

    Tables are extracted where they are missing. Every seed divides the groups anew into folds; every head answers for
    the test rows of its fold, of which it saw nothing. After an interruption the same command goes on.
    """
    from edgefuse.study import running

    study = read_study(config)
    folder = output or folder_of(study)
    running.run(study, folder, jobs=jobs or usable_cores(), progress=bar)
    click.echo(f"{folder}: finished; read it with 'edgefuse study report {config}'.", err=True)


@command.command("report", epilog="Example: edgefuse study report study.toml")
@click.argument("config", metavar="CONFIG.toml", type=FOLDER)
@OUTPUT
def report(config: Path, output: Path | None) -> None:
    """Judge the finished study CONFIG.toml, and write its report: one page that loads nothing, Markdown, CSV, figures.

    All of it lies in the folder "report" of the study's output.
    """
    from edgefuse.study.found import gather, headline, leaks
    from edgefuse.study.report import write_report

    for module in ("matplotlib", "jinja2"):  # before the work, not after it
        importable(module, "report")
    study = read_study(config)
    folder = output or folder_of(study)
    found = gather(study, folder, jobs=usable_cores(), progress=bar)
    page = write_report(found, folder / "report", bar)
    for sentence in headline(found):
        click.echo(sentence)
    for sentence in leaks(found):
        click.secho(sentence, fg="red", bold=True, err=True)
    click.echo(f"{page}", err=True)


def folder_of(study: Study) -> Path:
    """Where a study goes that is not told where: beside its file, without the ending."""
    return study.path.with_suffix("")
