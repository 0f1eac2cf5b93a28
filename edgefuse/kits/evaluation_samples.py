"""Evaluation samples: labelled pictures and notes that a kit carries, so that a device can tell how right it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgefuse.answering.note import read_note
from edgefuse.batch.samples import BatchSample, class_folder, read_samples
from edgefuse.embeddings.table import open_table
from edgefuse.heads import Head
from edgefuse.kits.bare import bare_copy
from edgefuse.labels import SEPARATOR, names_of
from edgefuse.progress import Progress, silent
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import load_image, shrunk
from edgefuse_runtimes.spec import EncoderSpec

MOST = 500
"""Samples, for an interval of about .04 to either side. Each one more makes every opening of the kit longer."""
SEED = 0
"""Of the order in the kit. It is drawn, so that the first few of them stand for all, whatever order they came in."""


@dataclass(frozen=True)
class EvaluationSamples:
    """Samples that were written to be packed."""

    said: dict[str, Any]
    """What the manifest says: "consent", "licence" and "samples", each of these with "image", "text" and "label"."""
    files: dict[str, Path]
    """Where each file is, by its name in the kit."""
    remarks: tuple[str, ...]
    """What whoever packs them must know."""


def write_evaluation_samples(
    source: Path,
    head: Head,
    image: EncoderSpec,
    folder: Path,
    *,
    consent: str,
    licence: str,
    progress: Progress = silent,
) -> EvaluationSamples:
    """Write pictures and notes into `folder` as a kit carries them, under plain numbers.

    Args:
        source: a table or a folder, as `read_samples` takes it; labels are the table's column `label`, or the folders
            in which the pictures lie.
        head: whose classes the labels are, and which must not have been trained on the samples.
        image: the encoder that pictures are made small for, so that it gives the same vectors.
        folder: where to write.
        consent: who agreed that they travel in every kit.
        licence: under which they do.
        progress: shows the samples.

    Raises:
        BadInput: there are none or too many; one has no picture, no note or no label, has one that is no class, cannot
            be read, or is a row that the head was trained on.
    """
    found, lonely = read_samples(source)
    if lonely:
        raise BadInput(f"{source} has text files without a picture of the same name; take them out, or rename them.")
    if len(found) > MOST:
        raise BadInput(f"{source} has {len(found)} samples, and a kit carries {MOST} at the most; choose some of them.")
    named = [_named(source, number, sample) for number, sample in enumerate(found, start=1)]
    remarks: list[str] = []
    contents = [_contents(sample, name, remarks) for sample, name in zip(found, named, strict=True)]
    labels = _labels(source, found, named, head)
    remarks += _check_unseen(found, named, head)
    assert image.preprocess is not None
    (folder / "evaluation").mkdir()
    said: list[dict[str, str]] = []
    files: dict[str, Path] = {}
    order = np.random.default_rng(SEED).random(len(found)).argsort().tolist()
    for number, row in progress("evaluation samples", list(enumerate(order, start=1)), len(order)):
        picture, note = contents[row]
        sample = {"image": f"evaluation/{number:04d}.png", "text": f"evaluation/{number:04d}.txt", "label": labels[row]}
        try:
            loaded = load_image(picture, bands=image.preprocess.bands)
            bare_copy(shrunk(loaded, image.preprocess)).save(folder / sample["image"])
        except BadInput as error:
            raise BadInput(f"{named[row]}: {error}") from error
        (folder / sample["text"]).write_bytes(note.encode())
        files |= {sample[part]: folder / sample[part] for part in ("image", "text")}
        said.append(sample)
    return EvaluationSamples({"consent": consent, "licence": licence, "samples": said}, files, tuple(remarks))


def _named(source: Path, number: int, sample: BatchSample) -> str:
    """What a sentence calls a sample."""
    return f"{source / sample.id}" if source.is_dir() else f"Row {number} of {source}"


def _contents(sample: BatchSample, name: str, remarks: list[str]) -> tuple[Path, str]:
    """The picture's path and the note's words; what reading it must say is added to `remarks`."""
    note, said = read_note(str(sample.note)) if isinstance(sample.note, Path) else (sample.note or "", [])
    remarks += said
    if sample.image is None or not note.strip():
        lacks = "picture" if sample.image is None else "note"
        raise BadInput(f"{name} has no {lacks}, and an evaluation sample needs both; complete it, or take it out.")
    return sample.image, note


def _labels(source: Path, samples: Sequence[BatchSample], names: Sequence[str], head: Head) -> list[str]:
    """The label of each sample; in a table of a multilabel head an empty cell is the label that no class holds."""
    is_folder = source.is_dir()
    given = [class_folder(sample) if is_folder else sample.label for sample in samples]
    may_be_empty = head.multilabel and not is_folder and any(label is not None for label in given)
    labels = []
    for name, label in zip(names, given, strict=True):
        if label is None and not may_be_empty:
            how = "put it into a folder named as its class" if is_folder else "fill its cell in the column label"
            raise BadInput(f"{name} has no label; {how}, or take it out.")
        parts = names_of(label or "", multilabel=head.multilabel)
        for part in parts:
            if part not in head.classes:
                raise BadInput(
                    f"{name} has the label {part!r}, which is no class of the head ({', '.join(head.classes)}); "
                    "correct it, or take it out."
                )
        labels.append(SEPARATOR.join(parts))
    return labels


def _check_unseen(samples: Sequence[BatchSample], names: Sequence[str], head: Head) -> list[str]:
    """Refuse samples that the head was trained on, as far as their ids tell; remarks about what these do not tell."""
    parts = _parts_of_rows(head)
    if not parts:
        return [
            "The table that the head was trained on is not there, so nothing tells whether the head saw the evaluation "
            "samples: figures on them are worth something only if they are test rows, or no rows of that table."
        ]
    unknown = 0
    for name, sample in zip(names, samples, strict=True):
        ids = [sample.id] if sample.image is None else [sample.id, sample.image.stem, sample.image.name]
        known = next((each for each in ids if each in parts), None)
        if known is None:
            unknown += 1
        elif parts[known] != "test":
            part = {"train": "training"}.get(parts[known], parts[known])
            raise BadInput(
                f"{name} is the {part} row {known!r} of the table that the head was trained on, so figures on "
                "it would flatter; take test rows alone, or give it another id if it is another picture."
            )
    if not unknown:
        return []
    return [
        f"{unknown} of {len(samples)} evaluation samples are no rows of the table that the head was trained on, as far "
        "as their ids tell: if the head saw them under another name, figures on them flatter."
    ]


def _parts_of_rows(head: Head) -> dict[str, str]:
    """The part of the split of each row that the head knows, by its id; {} where its table is gone."""
    try:
        table = open_table(head.table_path) if head.table_path is not None else None
    except BadInput:
        return {}
    return {} if table is None else dict(zip(table.ids.tolist(), table.splits.tolist(), strict=True))
