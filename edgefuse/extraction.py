"""From samples to an embedding table: the text encoder over all notes, then the image one over all pictures.

The files of the encoders folder themselves are run, the ones that a kit carries to the device, so that the
head learns from the vectors that it will see there. One encoder is open at a time.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefuse.ahead import ahead
from edgefuse.datasets import Dataset, Sample, leave_out, missing_sentence
from edgefuse.embeddings import (
    COLUMNS,
    Floats,
    Row,
    Table,
    open_table,
    read_description,
    shard_path,
    shards,
    write_description,
    write_shard,
)
from edgefuse.encoders import Encoders
from edgefuse.golden import probe_sample
from edgefuse.mapped import read_shard
from edgefuse.progress import Progress, silent
from edgefuse.splits import check_split, split_rows
from edgefuse_runtimes.contract import Encoder
from edgefuse_runtimes.encoder import open_encoder
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import Picture, load_image, prepare
from edgefuse_runtimes.machine import physical_cores
from edgefuse_runtimes.spec import EncoderSpec, Modality, Preprocess
from edgefuse_runtimes.tokenizers import tokenize, tokenizer_of

NOTES_PER_CALL = 16
"""A few notes at a time: an engine may share work between them, and the bar still moves."""

DECODED_AHEAD = 8
"""Pictures that may wait decoded (0.6 MB each at 224 x 224) while another is encoded."""


@dataclass(frozen=True)
class Extraction:
    """A finished table, and what to say about making it."""

    table: Table
    distinct_notes: int
    cut_notes: int
    """Samples whose note is over the text encoder's token limit."""
    left_out: tuple[str, ...]
    """Ids of samples without a usable picture."""


@dataclass(frozen=True)
class Settings:
    """How the encoders are run."""

    engine: str = "auto"
    threads: int | None = None
    notify: Callable[[str], None] = lambda sentence: None
    """Told when an engine is replaced by another."""


def extract(
    dataset: Dataset,
    encoders: Encoders,
    folder: Path,
    *,
    split_seed: int = 0,
    skip_missing: bool = False,
    settings: Settings = Settings(),
    progress: Progress = silent,
) -> Extraction:
    """Make the embedding table `folder`, or go on where an interrupted run of the same inputs stopped.

    Every picture is decoded once before anything is encoded, so that a broken one is named in the first
    seconds and not after hours of notes. A table is only gone on with when encoders, rows, notes and split
    are the same; that a picture's content changed in between is not seen.

    Raises:
        BadInput: a picture cannot be read (with `skip_missing` its sample is left out instead), the given
            split is unusable, an encoder cannot be run, or `folder` holds something else.
    """
    dataset = _readable(dataset, skip_missing, settings, progress)
    samples = dataset.samples
    given = any(sample.split for sample in samples)
    subgroups = _subgroup_names(samples)
    rows = _rows(dataset, given, split_seed, subgroups)
    description: dict[str, object] = {
        "encoders": encoders.identity,
        "dataset": {"name": dataset.name, "licence": dataset.licence, "drawn": dataset.drawn},
        "classes": list(dataset.classes),
        **({"multilabel": True} if dataset.multilabel else {}),
        "split_seed": None if given else split_seed,
        "inputs_sha256": _digest(samples, rows),
    }
    _begin(folder, description, rows, subgroups)
    notes = [sample.text for sample in samples]
    cut = _extract_notes(notes, encoders, folder, settings, progress)
    _extract_pictures([sample.image for sample in samples], encoders, folder, settings, progress)
    return Extraction(open_table(folder), len(set(notes)), cut, dataset.left_out)


def picture_vectors(encoder: Encoder, pictures: Iterable[Picture]) -> Iterator[Floats]:
    """Vectors (d,) of pictures in order; the next ones are decoded while one is encoded."""
    assert encoder.spec.preprocess is not None
    for pixels in prepared(pictures, encoder.spec.preprocess):
        yield encoder.encode(pixels[None])[0]


def prepared(pictures: Iterable[Picture], preprocess: Preprocess) -> Iterator[Floats]:
    """Encoder inputs (3, H, W) of pictures in order, made ahead of their use."""

    def read(picture: Picture) -> Floats:
        return prepare(load_image(picture), preprocess)  # (3, H, W)

    yield from ahead(read, pictures, workers=1, depth=DECODED_AHEAD)


def note_vectors(encoder: Encoder, tokens: Sequence[NDArray[np.int32]]) -> Iterator[Floats]:
    """Vectors (d,) of tokenised notes in order."""
    for start in range(0, len(tokens), NOTES_PER_CALL):
        yield from encoder.encode(tokens[start : start + NOTES_PER_CALL])  # (<= 16, d)


def _readable(dataset: Dataset, skip_missing: bool, settings: Settings, progress: Progress) -> Dataset:
    """The data set without the samples whose picture cannot be read; they must be allowed to be left out."""
    workers = settings.threads or physical_cores()
    complaints = ahead(_complaint, dataset.samples, workers=workers, depth=4 * workers)
    found = progress("checking pictures", complaints, len(dataset.samples))
    broken = {sample.id: why for why, sample in zip(found, dataset.samples, strict=True) if why}
    if broken and not skip_missing:
        named = [f"{name} ({why})" for name, why in broken.items()]
        raise BadInput(missing_sentence("have no readable picture", named))
    return leave_out(dataset, list(broken))


def _complaint(sample: Sample) -> str:
    """Why the sample's picture cannot be read; "" when it can."""
    try:
        load_image(sample.image)
    except BadInput as error:
        return str(error).split(";")[0]
    return ""


def _rows(dataset: Dataset, given: bool, seed: int, subgroups: Sequence[str]) -> list[Row]:
    samples = dataset.samples
    groups = [sample.group for sample in samples]
    if given:
        parts = [sample.split for sample in samples]
        check_split(parts, groups, [sample.id for sample in samples])
    else:
        parts = split_rows([sample.label for sample in samples], groups, seed, multilabel=dataset.multilabel)
    return [
        Row(sample.id, sample.label, sample.group, part, tuple(sample.subgroups[name] for name in subgroups))
        for sample, part in zip(samples, parts, strict=True)
    ]


def _subgroup_names(samples: Sequence[Sample]) -> tuple[str, ...]:
    names = tuple(samples[0].subgroups)
    clash = [name for name in names if name in COLUMNS]
    if clash:
        raise BadInput(f"A subgroup may not be called {clash[0]!r}, which a table's own column is; rename it.")
    return names


def _digest(samples: Sequence[Sample], rows: Sequence[Row]) -> str:
    """A hash of all that makes two extractions with the same encoders one; folders may move in between."""
    facts = [
        [*row[: len(COLUMNS)], *row.subgroups, sample.image.name, sample.text]
        for sample, row in zip(samples, rows, strict=True)
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _begin(folder: Path, description: dict[str, object], rows: Sequence[Row], subgroups: Sequence[str]) -> None:
    """Write what the table will be, or check that `folder` is the same table begun earlier."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not (folder / "table.json").is_file():
            raise BadInput(f"{folder} exists and is no embedding table; choose another --output.")
        known = read_description(folder)
        wanted = json.loads(json.dumps(description))  # as it reads back: tuples become lists
        changed = [name for name, value in wanted.items() if known.get(name) != value]
        if changed:
            raise BadInput(
                f"{folder} was made from other inputs ({', '.join(changed)} differ in table.json); "
                "choose another --output or remove it first."
            )
    write_description(folder, description, rows, subgroups)


def _extract_notes(
    notes: Sequence[str], encoders: Encoders, folder: Path, settings: Settings, progress: Progress
) -> int:
    """Write the missing text shards; returns how many notes are over the token limit."""
    tokenization = encoders.text.tokenization
    assert tokenization is not None
    tokenizer = tokenizer_of(encoders.text, encoders.file)
    tokens = {note: tokenize(tokenizer, tokenization, note) for note in dict.fromkeys(notes)}
    todo = _missing(folder, "text", len(notes))
    if todo:
        repeated = {note for note, count in Counter(notes).items() if count > 1}
        known = _finished(folder, notes, repeated)
        fresh = [note for note in dict.fromkeys(notes[row] for row in todo) if note not in known]
        with _open(encoders, encoders.text, settings) as encoder:
            encoded = note_vectors(encoder, [tokens[note].ids for note in fresh])
            vectors = _spread((notes[row] for row in todo), encoded, known, repeated)
            _write(folder, "text", len(notes), todo, progress("encoding notes", vectors, len(todo)))
    return sum(tokens[note].dropped > 0 for note in notes)


def _extract_pictures(
    pictures: Sequence[Path], encoders: Encoders, folder: Path, settings: Settings, progress: Progress
) -> None:
    todo = _missing(folder, "image", len(pictures))
    if todo:
        with _open(encoders, encoders.image, settings) as encoder:
            vectors = picture_vectors(encoder, (pictures[row] for row in todo))
            _write(folder, "image", len(pictures), todo, progress("encoding pictures", vectors, len(todo)))


def _open(encoders: Encoders, spec: EncoderSpec, settings: Settings) -> Encoder:
    return open_encoder(
        spec,
        encoders.folder,
        engine=settings.engine,
        threads=settings.threads,
        probe_sample=probe_sample(encoders.file, spec),
        notify=settings.notify,
    )


def _missing(folder: Path, modality: Modality, count: int) -> list[int]:
    """Numbers of the rows whose shard is not there yet."""
    return [
        row
        for number, span in enumerate(shards(count))
        if not shard_path(folder, modality, number).exists()
        for row in span
    ]


def _finished(folder: Path, notes: Sequence[str], wanted: set[str]) -> dict[str, Floats]:
    """Vectors (d,) of the `wanted` notes that finished shards hold."""
    known = {}
    for number, span in enumerate(shards(len(notes))):
        path = shard_path(folder, "text", number)
        if path.exists():
            known.update(
                {
                    notes[row]: np.array(vector)
                    for row, vector in zip(span, read_shard(path), strict=True)
                    if notes[row] in wanted
                }
            )
    return known


def _spread(
    notes: Iterable[str], encoded: Iterator[Floats], known: dict[str, Floats], repeated: set[str]
) -> Iterator[Floats]:
    """One vector (d,) for each note: a known one again, else the next encoded one, kept while it recurs."""
    for note in notes:
        vector = known[note] if note in known else next(encoded)
        if note in repeated:
            known[note] = vector
        yield vector


def _write(folder: Path, modality: Modality, count: int, todo: Sequence[int], vectors: Iterable[Floats]) -> None:
    """Write the shards that the rows `todo` form, each as soon as its last vector (d,) has come."""
    ends = {span[-1]: number for number, span in enumerate(shards(count))}
    held: list[Floats] = []
    for vector, row in zip(vectors, todo, strict=True):
        held.append(vector)
        if row in ends:
            write_shard(shard_path(folder, modality, ends[row]), np.stack(held))  # (m, d)
            held = []
