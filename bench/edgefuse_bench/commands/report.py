"""`edgefuse bench report`: results as a page."""

from __future__ import annotations

from pathlib import Path

import click

from edgefuse.commands.options import FOLDER

EXAMPLE = """\b
Examples: edgefuse bench report pi4.json pi5.json laptop.json -o report.html
          edgefuse bench report results/ -o report.csv"""


@click.command("report", epilog=EXAMPLE)
@click.argument("files", metavar="FILE.json...", type=FOLDER, nargs=-1, required=True)
@click.option(
    "--output",
    "-o",
    type=FOLDER,
    required=True,
    help="A page that loads nothing (.html, with the extra report), Markdown (.md), or every value (.csv).",
)
def report(files: tuple[Path, ...], output: Path) -> None:
    """Make a page of results of 'bench run --json', of one device or of several side by side.

    A folder stands for all its .json files; results of one configuration on one machine are repeats of each other. The
    page holds no picture and no text of any sample. The device itself only writes the JSON: make the page anywhere.
    """
    from edgefuse.progress import bar
    from edgefuse_bench.inputs import read_file_or_folder
    from edgefuse_bench.report.entries import gather
    from edgefuse_bench.report.writing import write_report
    from edgefuse_runtimes.errors import BadInput

    if output.is_dir():
        raise BadInput(f"{output} is a folder; name a file for --output.")
    found = gather([result for path in files for result in read_file_or_folder(path)])
    write_report(found, output, bar)
    click.echo(f"{output}: {len(found.entries)} configuration(s) on {len(found.machines)} machine(s).", err=True)
