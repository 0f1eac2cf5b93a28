"""The options that name a data set and say how it is read, for every verb that reads pictures and notes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import click

from edgefuse.commands.options import FOLDER
from edgefuse.datasets.choice import Choice

_OPTIONS = (
    click.option(
        "--dataset",
        required=True,
        metavar="NAME|TABLE.csv",
        help="Its name, see 'edgefuse datasets', or a CSV file with the columns image, text, label and, if wanted, id, "
        "group, split.",
    ),
    click.option("--root", type=FOLDER, help="Folder of the data set.  [default for a CSV file: where it lies]"),
    click.option(
        "--template",
        metavar="FILE|TEXT",
        help="The note of a row, with columns in braces: 'Age: {age}.'  [default: the data set's own]",
    ),
    click.option(
        "--allow-leak",
        "allow_leaks",
        multiple=True,
        metavar="NAME",
        help="Take this field into the notes although it tells the label; all figures are then marked. Repeatable.",
    ),
    click.option("--image-column", metavar="NAME", help="Of a CSV file: the picture's path.  [default: image]"),
    click.option("--text-column", metavar="NAME", help="Of a CSV file: the note.  [default: text]"),
    click.option("--label-column", metavar="NAME", help="Of a CSV file: the class.  [default: label]"),
    click.option("--id-column", metavar="NAME", help="Of a CSV file: a name for each row.  [default: id, if there]"),
    click.option(
        "--group-column", metavar="NAME", help="Of a CSV file: what stays together.  [default: group, if there]"
    ),
    click.option("--split-column", metavar="NAME", help="Of a CSV file: the part.  [default: split, if there]"),
    click.option(
        "--subgroup",
        "subgroups",
        multiple=True,
        metavar="COLUMN",
        help="Of a CSV file: give figures for each value of this column too. Repeatable.",
    ),
    click.option(
        "--limit",
        type=click.IntRange(min=1),
        help="Take about so many samples: whole groups, drawn by lot.  [default: all]",
    ),
    click.option("--skip-missing", is_flag=True, help="Leave out samples whose picture is missing or unreadable."),
    click.option("--multilabel", is_flag=True, help='Any number of classes may hold: a label joins them by "|".'),
)


def dataset_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these options; it is called with `choice`, what they said."""

    @functools.wraps(function)
    def with_choice(**given: Any) -> Any:
        choice = Choice(**{field.name: given.pop(field.name) for field in fields(Choice)})
        return function(choice=choice, **given)

    return functools.reduce(lambda command, option: option(command), reversed(_OPTIONS), with_choice)
