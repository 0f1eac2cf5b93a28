"""The samples that a source and its exported file are compared on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from edgefuse.datasets import open_dataset
from edgefuse.datasets.drawn import draw, draw_note
from edgefuse.progress import Progress, silent
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import Picture

COUNT = 130
"""The fewest samples of which a 95th percentile may be named."""

DRAWN = "the drawn example"
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm")


@dataclass(frozen=True)
class Samples:
    """Pairs of a picture and a note; item k of every member belongs to the sample `ids[k]`."""

    ids: tuple[str, ...]
    pictures: tuple[Picture, ...]
    notes: tuple[str, ...]
    labels: tuple[str, ...]
    """"" where a label is not known, or, in a multilabel table, where no class holds."""
    groups: tuple[str, ...]
    """Samples of one group (a lesion, a patient) are drawn together by a bootstrap."""
    pictures_from: str
    """For a sentence: "the drawn example", "table.csv"."""
    notes_from: str
    available: int
    """How many samples there were to choose these from."""

    def content(self) -> str:
        """A hash of all that a comparison reads of them."""
        digest = hashlib.sha256()
        for picture in self.pictures:
            digest.update(hashlib.sha256(_bytes_of(picture)).digest())
        told = [self.ids, self.notes, self.labels, self.groups, self.pictures_from, self.notes_from, self.available]
        digest.update(json.dumps(told).encode())
        return digest.hexdigest()


def read_samples(source: Path | None = None, count: int = COUNT, progress: Progress = silent) -> Samples:
    """At most `count` samples of a folder of pictures or of a table; chosen by chance, always the same ones.

    Args:
        source: a folder, whose pictures are paired with drawn notes; or a CSV file with the columns image and text
            and, if wanted, id, label and group. None: the drawn example.
        count: how many at the most.
        progress: shows the drawing.

    Raises:
        BadInput: there is no such folder or table, it is malformed, or it holds no sample.
    """
    if source is None:
        return _drawn(count, progress)
    if source.is_dir():
        return _folder(source, count)
    if source.suffix.lower() == ".csv":
        return _table(source, count)
    if source.exists():
        raise BadInput(f"{source} is neither a folder of pictures nor a table ending in .csv; give one of these.")
    raise BadInput(f"There is no folder or table {source}; check the path given with --samples.")


def distinct(notes: Sequence[str]) -> tuple[list[int], list[int]]:
    """Where each different note first occurs, and for every note which of these it is.

    Equal notes have equal vectors: encoding them again shows nothing, and they would be one another's neighbours.
    """
    place: dict[str, int] = {}
    which = [place.setdefault(note, len(place)) for note in notes]
    return [which.index(number) for number in range(len(place))], which


def _bytes_of(picture: Picture) -> bytes:
    if isinstance(picture, Image.Image):
        return picture.tobytes()
    return picture if isinstance(picture, bytes) else Path(picture).read_bytes()


def _drawn(count: int, progress: Progress) -> Samples:
    drawn = [draw(seed) for seed in progress("drawing samples", range(count), count)]
    ids = tuple(f"drawn-{seed}" for seed in range(count))
    return Samples(
        ids,
        tuple(sample.image for sample in drawn),
        tuple(sample.note for sample in drawn),
        tuple(sample.label for sample in drawn),
        ids,
        DRAWN,
        DRAWN,
        count,
    )


def _folder(folder: Path, count: int) -> Samples:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise BadInput(f"{folder} holds no picture ({', '.join(SUFFIXES)}); give another folder with --samples.")
    chosen = [found[index] for index in _choose(len(found), count)]
    ids = tuple(path.relative_to(folder).as_posix() for path in chosen)
    notes = tuple(map(draw_note, range(len(chosen))))
    name = f"the folder {folder.resolve().name}"
    return Samples(ids, tuple(chosen), notes, ("",) * len(ids), ids, name, DRAWN, len(found))


def _table(table: Path, count: int) -> Samples:
    dataset = open_dataset(str(table), labelled=False, skip_missing=True)
    if dataset.left_out:
        raise BadInput(
            f"{len(dataset.left_out)} rows of {table} have no picture file beside the table, the first is "
            f"{dataset.left_out[0]!r}; correct or remove them."
        )
    chosen = [dataset.samples[index] for index in _choose(len(dataset.samples), count)]
    return Samples(
        tuple(sample.id for sample in chosen),
        tuple(sample.image for sample in chosen),
        tuple(sample.text for sample in chosen),
        tuple(sample.label for sample in chosen),
        tuple(sample.group for sample in chosen),
        table.name,
        table.name,
        len(dataset.samples),
    )


def _choose(available: int, count: int) -> list[int]:
    """`count` of the numbers below `available`, in order; all of them where there are no more."""
    return sorted(np.random.default_rng(0).permutation(available)[:count].tolist())
