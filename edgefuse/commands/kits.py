"""`edgefuse kits`: which kit this device uses."""

from __future__ import annotations

from pathlib import Path

import click

from edgefuse.commands.options import FOLDER

EXAMPLE = "Example: edgefuse kits use /media/stick/ham-mini.kit"


@click.group("kits", epilog=EXAMPLE)
def command() -> None:
    """Choose the kit that this device uses."""


@command.command("use", epilog=EXAMPLE)
@click.argument("kit", type=FOLDER)
def use(kit: Path) -> None:
    """Make KIT the active kit: what 'classify' uses when neither --kit nor EDGEFUSE_KIT names one."""
    from edgefuse.kits.active import activate
    from edgefuse.kits.kit import Kit

    opened = Kit.open(kit)
    opened.verify()
    activate(kit)
    click.echo(f"The active kit is now {opened.name} {opened.version} ({kit.resolve()}).")
