"""`edgefuse bench`: what a kit costs on this device."""

from __future__ import annotations

import click

from edgefuse_bench.commands.compare import compare
from edgefuse_bench.commands.peers import peers
from edgefuse_bench.commands.report import report
from edgefuse_bench.commands.run import run

EXAMPLE = """\b
Examples: edgefuse bench run my.kit --json here.json
          edgefuse bench compare before.json here.json
          edgefuse bench report here.json -o report.html"""


@click.group("bench", epilog=EXAMPLE)
def command() -> None:
    """Measure what a kit costs on this device."""


for each in (run, compare, report, peers):
    command.add_command(each)
