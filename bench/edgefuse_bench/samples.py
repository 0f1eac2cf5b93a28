"""What a kit is asked: samples that it carries, or a user's pictures and notes, with labels where they have some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgefuse.answering.note import read_note
from edgefuse.batch.samples import BatchSample, class_folder, read_samples
from edgefuse.kits.golden import NOTES, PICTURES
from edgefuse.kits.kit import Kit
from edgefuse.labels import names_of
from edgefuse_bench.order import Sample
from edgefuse_runtimes.errors import BadInput


@dataclass(frozen=True)
class Samples:
    """Pictures and notes to ask in turn."""

    asked: tuple[Sample, ...]
    source: Literal["golden", "evaluation", "folder"]
    drawn: bool
    """Whether answers to them mean nothing."""
    labels: tuple[str | None, ...] = ()
    """Of each sample, None where it has none; () where none has."""
    remarks: tuple[str, ...] = ()
    """About reading them; they may name files, and so are for the screen alone."""


def kit_samples(kit: Kit) -> Samples:
    """Those that a kit carries: its evaluation samples where it has some, or else its golden ones."""
    return evaluation_samples(kit) if kit.evaluation_samples else golden_samples(kit)


def evaluation_samples(kit: Kit) -> Samples:
    """The kit's labelled pictures and notes; answers mean nothing where its head learned from drawn ones."""
    labelled = kit.evaluation_samples
    asked = (Sample(str(kit.file(sample["image"])), read_note(str(kit.file(sample["text"])))[0]) for sample in labelled)
    return Samples(tuple(asked), "evaluation", kit.drawn, tuple(sample["label"] for sample in labelled))


def golden_samples(kit: Kit) -> Samples:
    """The kit's own pictures and notes, which are drawn unless somebody gave them when it was packed."""
    asked = (
        Sample(str(kit.file(picture)), read_note(str(kit.file(note)))[0])
        for picture, note in zip(PICTURES, NOTES, strict=True)
    )
    return Samples(tuple(asked), "golden", drawn=kit.drawn or "golden_source" not in kit.manifest)


def own_samples(source: Path, kit: Kit) -> Samples:
    """Those of a folder or of a table ending in .csv, as `edgefuse classify` reads them.

    Labels are a table's column `label`, or the folders in which the pictures lie, if all of those are classes of the
    kit.

    Raises:
        BadInput: there is no such folder or table, nothing is in it, or a label is no class of the kit.
    """
    if not source.is_dir() and source.suffix.lower() != ".csv":
        hint = f" (the number of queries is --queries {source})" if str(source).isdecimal() else ""
        raise BadInput(f"--samples {source} is neither a folder nor a table ending in .csv{hint}; name one.")
    found, remarks = read_samples(source)
    asked = []
    for sample in found:
        note = sample.note
        if isinstance(note, Path):
            note, said = read_note(str(note))
            remarks = [*remarks, *said]
        asked.append(Sample(None if sample.image is None else str(sample.image), note))
    return Samples(tuple(asked), "folder", False, tuple(_labels(source, found, kit)), tuple(remarks))


def _labels(source: Path, samples: Sequence[BatchSample], kit: Kit) -> list[str | None]:
    if source.is_dir():
        folders = [class_folder(sample) for sample in samples]
        return folders if all(folder in kit.classes for folder in folders) else []
    labels = [sample.label for sample in samples]
    for number, label in enumerate(labels, start=1):
        for name in names_of(label or "", multilabel=kit.head.multilabel):
            if name and name not in kit.classes:
                raise BadInput(
                    f"Row {number} of {source} has the label {name!r}, which is no class of the kit "
                    f"({', '.join(kit.classes)}); correct it, or leave the cell empty."
                )
    return list(labels) if any(label is not None for label in labels) else []
