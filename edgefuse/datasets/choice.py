"""What a user says of a data set: by the options of a verb, or under `[data]` in a study's file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgefuse.datasets import Dataset, open_dataset
from edgefuse.datasets.table import Columns
from edgefuse.datasets.template import read_template

COLUMN_KEYS = ("image_column", "text_column", "label_column", "id_column", "group_column", "split_column")
"""Members of `Choice` that name columns of a CSV file."""


@dataclass(frozen=True)
class Choice:
    """Which data set, and how it is read; None: as `open_dataset` does without it."""

    dataset: str
    """An adapter's name or a CSV file."""
    root: Path | None = None
    template: str | None = None
    """A template, or the name of a file that holds one."""
    allow_leaks: tuple[str, ...] = ()
    image_column: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    id_column: str | None = None
    group_column: str | None = None
    split_column: str | None = None
    subgroups: tuple[str, ...] = ()
    limit: int | None = None
    skip_missing: bool = False
    multilabel: bool = False

    @property
    def folder(self) -> Path:
        """Where the pictures are."""
        return self.root or Path(self.dataset).parent

    @property
    def columns(self) -> Columns | None:
        """The columns of a CSV file; None if not one is named."""
        named = {key.removesuffix("_column"): getattr(self, key) for key in COLUMN_KEYS}
        given = {name: column for name, column in named.items() if column is not None}
        return Columns(**given, subgroups=self.subgroups) if given or self.subgroups else None

    def open(self) -> Dataset:
        """The data set.

        Raises:
            BadInput: as `open_dataset`, or the template is none.
        """
        return open_dataset(
            self.dataset,
            self.root,
            limit=self.limit,
            skip_missing=self.skip_missing,
            multilabel=self.multilabel,
            template=None if self.template is None else read_template(self.template),
            allow_leaks=self.allow_leaks,
            columns=self.columns,
        )
