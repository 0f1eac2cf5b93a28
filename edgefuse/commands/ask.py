"""`edgefuse ask`: guided questions, for people who do not type commands."""

from __future__ import annotations

import contextlib
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgefuse.commands.options import (
    chosen_kit,
    engine_option,
    keep_inputs_option,
    kit_option,
    language_option,
    planned_memory_option,
    precision_option,
    threads_option,
)
from edgefuse_runtimes.errors import EdgefuseError, NotStored

if TYPE_CHECKING:
    from edgefuse.answering.memory import MemorySetting


@click.command("ask", epilog="Example: edgefuse ask")
@kit_option
@engine_option
@precision_option
@threads_option
@planned_memory_option
@keep_inputs_option
@language_option
def command(
    kit: Path | None,
    engine: str,
    precision: str | None,
    threads: int | None,
    memory: MemorySetting,
    keep_inputs: bool,
    language: str | None,
) -> int:
    """Ask for a picture, a note and a case in plain words, answer, store the answer, and ask for the next.

    This is what the icon on the desktop opens. Answers are stored as those of 'classify' are; see 'edgefuse results'.
    """
    from edgefuse.answering.classifier import Classifier
    from edgefuse.asking.conversation import converse
    from edgefuse.results.storing import open_storing

    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - lines can be edited, with accented letters, and fetched again

    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="surrogateescape")  # a terminal may send what is not in its own encoding

    def open_classifier(keep_open: bool) -> Classifier:
        click.echo("Loading the kit ...")
        return Classifier.open(
            chosen_kit(kit), engine=engine, threads=threads, memory=memory, precision=precision, keep_open=keep_open
        )

    with open_storing(keep=keep_inputs, say=partial(click.echo, err=True)) as storing:
        try:
            converse(open_classifier, storing, language)
        except EdgefuseError as error:
            click.echo(f"edgefuse: {error}", err=True)
            with contextlib.suppress(click.Abort):  # a window that an icon opened closes with us
                click.prompt("Press Enter to leave", default="", show_default=False, prompt_suffix="")
            return error.exit_code
    return NotStored.exit_code if storing.not_stored else 0
