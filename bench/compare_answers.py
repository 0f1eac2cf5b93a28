"""What another engine does to a head's answers: python bench/compare_answers.py H V OTHER --help

V and OTHER are embedding tables of the same data set, made by `edgefuse extract` with another --engine each.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import numpy as np

from edgefuse.embeddings.table import Table, open_table
from edgefuse.heads import open_head
from edgefuse.metrics import classification as metrics
from edgefuse_runtimes.errors import BadInput, EdgefuseError


def check_same_rows(table: Table, other: Table) -> None:
    """Accept two tables of the same rows and encoders.

    Raises:
        BadInput: they differ in more than their vectors.
    """
    columns = ("ids", "labels", "splits")
    same = all(np.array_equal(getattr(table, name), getattr(other, name)) for name in columns)
    if not same or table.encoders != other.encoders:
        raise BadInput(f"{table.folder} and {other.folder} hold other rows or encoders; extract the same data twice.")


@click.command(epilog="Example: python bench/compare_answers.py H V V-numpy")
@click.argument("head_folder", metavar="H", type=click.Path(path_type=Path))
@click.argument("table_folder", metavar="V", type=click.Path(path_type=Path))
@click.argument("other_folder", metavar="OTHER", type=click.Path(path_type=Path))
def main(head_folder: Path, table_folder: Path, other_folder: Path) -> None:
    """Compare the answers of the head H on the test rows of two tables that differ in the engine alone."""
    try:
        head, table, other = open_head(head_folder), open_table(table_folder), open_table(other_folder)
        check_same_rows(table, other)
    except EdgefuseError as error:
        click.echo(f"compare_answers: {error}", err=True)
        sys.exit(error.exit_code)
    test = np.flatnonzero(table.splits == "test")
    truth = table.labels[test]
    mixtures = {
        "as in V": (table, table),
        "text of OTHER": (other, table),
        "image of OTHER": (table, other),
        "both of OTHER": (other, other),
    }
    reference = head.probabilities(table.text[test], table.image[test])  # (n, C)
    click.echo(f"{'':<16}{'same label':>14}{'accuracy':>10}{'macro-F1':>10}{'mean shift of a probability':>30}")
    for name, (text, image) in mixtures.items():
        found = head.probabilities(text.text[test], image.image[test])  # (n, C)
        said, before = (metrics.decide(one, multilabel=head.multilabel) for one in (found, reference))  # (n,) or (n, K)
        same = int((said == before).reshape(len(test), -1).all(axis=1).sum())
        figures = metrics.figures(truth, said)
        shift = np.abs(found - reference).max(axis=1).mean()
        click.echo(
            f"{name:<16}{f'{same} of {len(test)}':>14}{figures.accuracy:>10.3f}{figures.macro_f1:>10.3f}{shift:>30.3f}"
        )


if __name__ == "__main__":
    main()
