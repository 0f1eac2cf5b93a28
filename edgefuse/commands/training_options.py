"""The options that say how an alignment is fitted and a head is trained, for every verb that does."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce, wraps
from typing import Any

import click

from edgefuse.commands.options import FiniteRange
from edgefuse.training.align import DEFAULT, METHODS
from edgefuse.training.optimizer import AdamW
from edgefuse.training.trainer import MOST_MEMBERS, Settings

match_option = click.option(
    "--match",
    type=click.Choice(METHODS),
    default=DEFAULT,
    show_default=True,
    help="How unequal widths of text and image come to one: project: the wider to the narrower, so that pairs agree "
    "best; pca: the wider to the narrower, by what it holds most of; interpolate: the narrower stretched to the wider, "
    "as the paper does; none: they stay, and nothing can be shifted.",
)

text_components_option = click.option(
    "--text-components",
    metavar="N",
    type=click.IntRange(min=1),
    help="Take the notes' vectors down to their N principal components, each brought to the same spread: for short "
    "notes of a few facts.  [default: all coordinates]",
)

POSITIVE = FiniteRange(min=0, min_open=True)
SHARE = FiniteRange(0, 1, max_open=True)

OPTIONS = (
    click.option("--epochs", type=click.IntRange(min=1), default=30, show_default=True, help="Passes over the rows."),
    click.option("--batch-size", type=click.IntRange(min=2), default=64, show_default=True, help="Rows in a batch."),
    click.option("--learning-rate", type=POSITIVE, default=1e-3, show_default=True, help="Of AdamW."),
    click.option("--weight-decay", type=FiniteRange(min=0), default=0.01, show_default=True, help="Of AdamW."),
    click.option(
        "--hidden", metavar="N", type=click.IntRange(min=1), help="Units of a block.  [default: 128, late 64 each]"
    ),
    click.option(
        "--depth", type=click.IntRange(min=1), default=1, show_default=True, help="Blocks one after the other."
    ),
    click.option("--dropout", metavar="P", type=SHARE, default=0.0, show_default=True, help="Share of units left out."),
    click.option(
        "--class-weights",
        type=click.Choice(["balanced", "none"]),
        default="balanced",
        show_default=True,
        help="balanced: rare classes weigh more, so that all pull alike.",
    ),
    click.option(
        "--patience",
        metavar="N",
        type=click.IntRange(min=1),
        help="Stop after N epochs that are not better on validation rows.  [default: never]",
    ),
    click.option(
        "--noise",
        metavar="SIGMA",
        type=FiniteRange(min=0),
        default=0.0,
        show_default=True,
        help="Add normal noise to each number of the vectors of length 1 in training; SIGMA times the root of their "
        "width should be well below 1.",
    ),
    click.option(
        "--alignment-loss",
        metavar="BETA",
        type=FiniteRange(min=0),
        default=0.0,
        show_default=True,
        help="Late fusion: pull the two branches of a pair together, with this weight beside the classes' loss.",
    ),
    click.option(
        "--members",
        metavar="N",
        type=click.IntRange(min=1, max=MOST_MEMBERS),
        default=1,
        show_default=True,
        help="Train N networks from different start values, and answer by the mean of their logits.",
    ),
)
"""In the order of the help page."""
NAMES = ("epochs", "hidden", "depth", "dropout", "class_weights", "patience", "noise", "alignment_loss", "members")
"""Of options that are called as the settings are."""


def training_options(command: Callable[..., None]) -> Callable[..., None]:
    """A decorator: `command` gets what the options say as `settings: Settings`."""

    @wraps(command)
    def with_settings(
        *arguments: Any, learning_rate: float, weight_decay: float, batch_size: int, **options: Any
    ) -> None:
        own = {name: options.pop(name) for name in NAMES}
        adamw = AdamW(learning_rate=learning_rate, weight_decay=weight_decay)
        command(*arguments, settings=Settings(batch=batch_size, optimizer=adamw, **own), **options)

    return reduce(lambda decorated, option: option(decorated), reversed(OPTIONS), with_settings)
