"""Which columns of somebody's table are what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgefuse_runtimes.errors import BadInput

IDS = ("id", "image_id", "ImageName")
"""Columns that name a row, where the user says nothing."""


@dataclass(frozen=True)
class Columns:
    """Names of columns as the user gave them; None: the usual name, where there is such a column."""

    label: str | None = None
    id: str | None = None
    group: str | None = None
    split: str | None = None
    subgroups: tuple[str, ...] = ()

    def among(self, names: Sequence[str], path: Path) -> Columns:
        """The columns to read out of `names`, those of a table beside its vectors; None: there is none.

        Raises:
            BadInput: a column that was named is missing, or none is the label.
        """
        asked = [name for name in (self.label, self.id, self.group, self.split, *self.subgroups) if name is not None]
        known = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "") if names else "none beside the vectors"
        for name in asked:
            if name not in names:
                raise BadInput(f"{path} has no column {name!r}; its columns are: {known}.")
        label = self.label or _usual(("label",), names)
        if label is None:
            raise BadInput(f"{path} has no column 'label'; name the label's with --label, out of: {known}.")
        return Columns(
            label=label,
            id=self.id or _usual(IDS, names),
            group=self.group or _usual(("group",), names),
            split=self.split or _usual(("split",), names),
            subgroups=self.subgroups,
        )


USUAL = Columns()
"""Where the user says nothing."""


def _usual(candidates: Sequence[str], names: Sequence[str]) -> str | None:
    return next((name for name in candidates if name in names), None)
