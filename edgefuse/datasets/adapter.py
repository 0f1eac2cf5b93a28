"""What edgefuse knows about one data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgefuse.datasets.sample import Sample
from edgefuse.datasets.template import Template


@dataclass(frozen=True)
class Adapter:
    """How the folder of one data set is read, and what must be known before its figures are believed."""

    title: str
    """What it is, in one line."""
    layout: tuple[str, ...]
    """The folder as it is downloaded, a path and its meaning a line."""
    fields: Mapping[str, str]
    """What a template may use, and what each field says."""
    template: str
    """The note of a row, see `Template`."""
    missing: str
    """What is said in the place of a missing value."""
    label: str
    """How a row's class is found."""
    group: str
    """What belongs together and stays in one part of a split."""
    licence: str
    citation: str
    read: Callable[[Path, Template], list[Sample]]
    """From the data set's folder to its samples, in the order of its table."""
    leaks: Mapping[str, str] = field(default_factory=dict)
    """Fields that tell the label, and how; a template with one is refused unless the user insists."""
    subgroups: tuple[str, ...] = ()
    """What figures are also given for apart."""
    splits: tuple[str, ...] = ("grouped", "paper")
    """Of `edgefuse.datasets.parts.SPLITS`, the default one first."""
    paper_validation: float = 0.2
    """With the paper's split, the share of the rows outside its test part that are validation."""
    comparison: bool = False
    """Whether it only serves to compare gaps: its labels are no task of the method."""
    drawn: bool = False
    """Whether it is the drawn example, whose figures say nothing about any real use."""
