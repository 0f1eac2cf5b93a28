"""Which part of the split every sample is in, by the way that the user chose."""

from __future__ import annotations

from dataclasses import dataclass

from edgefuse.datasets import Dataset
from edgefuse.splits.by_picture import by_picture
from edgefuse.splits.grouped import check_split, in_time, split_rows
from edgefuse_runtimes.errors import BadInput

SPLITS = ("grouped", "paper", "time", "city")
"""By group; the paper's, by picture; by date, the newest for the test; by city, each in one part."""


@dataclass(frozen=True)
class Division:
    """A split of a data set; row k of both lists is sample k."""

    parts: list[str]
    """Of `splits.PARTS`."""
    groups: list[str]
    """What stays in one part, and what a bootstrap draws."""
    name: str
    """Of `SPLITS`, or "given": the data set brought it along."""
    seed: int | None
    """None: it has none that the user could choose."""


def divide(dataset: Dataset, split: str | None, seed: int) -> Division:
    """The split called `split`; None: the one that the data set brings along, else its default.

    Raises:
        BadInput: the data set has no such split, or too few samples for it.
    """
    samples = dataset.samples
    groups = [sample.group for sample in samples]
    if split is None and any(sample.split for sample in samples):
        parts = [sample.split for sample in samples]
        check_split(parts, groups, [sample.id for sample in samples])
        return Division(parts, groups, "given", None)
    name = split or dataset.splits[0]
    if name not in dataset.splits:
        raise BadInput(f"{dataset.name} has no split called {name!r}; it has {', '.join(dataset.splits)}.")
    if name == "paper":
        strata = [sample.stratum or sample.label for sample in samples]
        return Division(by_picture(strata, dataset.paper_validation), groups, name, None)
    if name == "time":
        return Division(*in_time([sample.date for sample in samples]), name, None)
    parts = split_rows([sample.label for sample in samples], groups, seed, multilabel=dataset.multilabel)
    return Division(parts, groups, name, seed)
