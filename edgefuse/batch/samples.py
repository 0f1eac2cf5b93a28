"""What a batch classifies: a folder of pictures with their notes beside them, or a table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edgefuse.datasets.csv_file import read_rows
from edgefuse_runtimes.errors import BadInput

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pnm"}
NOTES = {".txt"}


@dataclass(frozen=True)
class BatchSample:
    """One row of a table, or one picture of a folder."""

    id: str
    image: Path | None
    """None: there is no picture."""
    note: Path | str | None
    """The note's file, its words, or None: there is no note."""
    case: str | None = None
    """What the user calls the case in the results log; None: the table does not say."""
    label: str | None = None
    """What a table says that the answer should be; None: it does not say."""


def read_samples(source: Path) -> tuple[list[BatchSample], list[str]]:
    """The samples of a folder or of a table ending in .csv, in order, and sentences about what was left out.

    Raises:
        BadInput: there is no such folder or table, the table is malformed, an id is there twice, or there is no sample.
    """
    if source.is_dir():
        samples, remarks = _of_folder(source)
        if not samples:
            raise BadInput(f"{source} holds no pictures ({', '.join(sorted(PICTURES))}); name another folder.")
        return samples, remarks
    if source.suffix.lower() != ".csv":
        raise BadInput(f"{source} is neither a folder nor a table ending in .csv; leave --output out for one picture.")
    samples = _of_table(source)
    if not samples:
        raise BadInput(f"{source} holds no rows; give a table with at least one.")
    twice = [name for name, count in Counter(sample.id for sample in samples).items() if count > 1]
    if twice:
        raise BadInput(f"{source} has the id {twice[0]!r} more than once; give every row an id of its own.")
    return samples, []


def class_folder(sample: BatchSample) -> str | None:
    """The first folder on the way to a picture, which may be named as its class; None where it lies in no folder."""
    folders = PurePosixPath(sample.id).parts[:-1]
    return folders[0] if folders else None


def _of_folder(folder: Path) -> tuple[list[BatchSample], list[str]]:
    """Every picture below the folder, by its path there; a note is the text file of the same name."""
    inside = [path for path in sorted(folder.rglob("*")) if not _is_hidden(path.relative_to(folder)) and path.is_file()]
    notes = {path.with_suffix(""): path for path in inside if path.suffix.lower() in NOTES}
    pictures = [path for path in inside if path.suffix.lower() in PICTURES]
    samples = [
        BatchSample(path.relative_to(folder).as_posix(), path, notes.get(path.with_suffix(""))) for path in pictures
    ]
    lonely = sorted(notes[name] for name in set(notes) - {path.with_suffix("") for path in pictures})
    if not lonely:
        return samples, []
    named = ", ".join(str(path.relative_to(folder)) for path in lonely[:3]) + (", ..." if len(lonely) > 3 else "")
    files = "1 text file has" if len(lonely) == 1 else f"{len(lonely)} text files have"
    return samples, [
        f"{files} no picture beside and got no answer: {named}; list notes without pictures in a table instead."
    ]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _of_table(path: Path) -> list[BatchSample]:
    """The rows of a table with the columns image or text or both; id, case and label if wanted; "" is a missing one."""
    rows = read_rows(path, required=())
    if rows and not {"image", "text"} & set(rows[0]):
        raise BadInput(f"{path} has neither a column image nor a column text; its first line must name one of them.")
    samples = []
    for number, row in enumerate(rows, start=1):
        image, text = row.get("image", ""), row.get("text", "")
        name = row.get("id", image or f"row {number}")
        if not name:
            raise BadInput(f"Row {number} of {path} has an empty cell in the column id; fill or remove it.")
        picture = path.parent / image if image else None
        case, label = row.get("case"), row.get("label") or None
        samples.append(BatchSample(name, picture, text or None, case=case, label=label))
    return samples
