"""Options and parameter types that several verbs share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import click

from edgefuse.leaks import leak_sentences
from edgefuse_runtimes.encoder import ENGINE_NAMES

FOLDER = click.Path(path_type=Path, file_okay=True)
"""A path that the verb itself checks, so that every complaint is one of our sentences."""


class FiniteRange(click.FloatRange):
    """A range of numbers; "nan", which is in every range of click's, and "inf" are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or a refusal in one sentence."""
        number = super().convert(value, param, ctx)
        return number if math.isfinite(number) else self.fail(f"{value!r} is no finite number.", param, ctx)


kit_option = click.option(
    "--kit",
    type=FOLDER,
    help="The kit to answer with.  [default: $EDGEFUSE_KIT, then the active kit]",
)

keep_inputs_option = click.option(
    "--keep-inputs", is_flag=True, help="Keep pictures and notes themselves in the results log, not just hashes."
)

engine_option = click.option(
    "--engine",
    type=click.Choice(ENGINE_NAMES),
    default="auto",
    envvar="EDGEFUSE_ENGINE",
    show_default=True,
    help="What runs the encoders; auto: the fastest one that passed its probe here.",
)

precision_option = click.option(
    "--precision",
    metavar="NAME",
    help="Run the encoder files of this precision where the kit has them, such as fp32.  [default: its main files]",
)

language_option = click.option(
    "--lang",
    "language",
    metavar="CODE",
    help="Show the classes' names in this language, such as fr.  [default: $LANG's, where the kit has it]",
)

threads_option = click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="[default: the physical cores]",
)

memory_option = click.option(
    "--memory",
    type=click.Choice(["normal", "low"]),
    default="normal",
    show_default=True,
    help="low: slower, with less memory at a time.",
)

planned_memory_option = click.option(
    "--memory",
    type=click.Choice(["auto", "low", "normal"]),
    default="auto",
    envvar="EDGEFUSE_MEMORY",
    show_default=True,
    help="low: less memory at a time, slower with many samples; auto: low for one answer, for many normal where half "
    "of the memory stays free.",
)


def private_key(path: Path) -> Any:
    """The key that signs; a person is asked for its passphrase, if it has one.

    Raises:
        BadInput: it is none, the passphrase is wrong, or the library for it is missing.
    """
    from edgefuse.trust.keys import load_private_key

    def passphrase() -> str:
        words: str = click.prompt(f"Passphrase of {path}", hide_input=True, err=True)
        return words

    return load_private_key(path, passphrase)


def chosen_kit(named: Path | None) -> Path:
    """The folder of the kit to answer with; where nobody whom this device trusts signed it, a note says so.

    Raises:
        BadInput: none is named and none is active, or its signature is not over it.
    """
    from edgefuse.kits.active import find_kit
    from edgefuse.kits.standing import standing

    kit = find_kit(named)
    note = standing(kit)
    if note is not None:
        _say_once(f"note: {note}")
    return kit


@cache
def _say_once(sentence: str) -> None:
    """On stderr, once in a process: `ask` opens its kit for every answer."""
    click.echo(sentence, err=True)


def say_leaks(dataset: Mapping[str, Any], *, err: bool = False) -> None:
    """Say in red what makes the figures of a table's or a head's data set flatter."""
    for sentence in leak_sentences(dataset):
        click.secho(sentence, fg="red", err=err)
