"""`edgefuse completion`: the script that lets a shell complete verbs and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

EXAMPLE = """Example: echo 'eval "$(edgefuse completion bash)"' >> ~/.bashrc"""


@click.command("completion", epilog=EXAMPLE)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of SHELL."""
    from edgefuse.cli import main

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(main, {}, "edgefuse", "_EDGEFUSE_COMPLETE").source())
