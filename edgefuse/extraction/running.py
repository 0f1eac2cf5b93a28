"""From samples to an embedding table: the text encoder over all notes, then the image one over all pictures.

The files of the encoders folder themselves are run, the ones that a kit carries to the device, so that the
head learns from the vectors that it will see there. One encoder is open at a time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgefuse.ahead import ahead
from edgefuse.datasets import Dataset, Sample, leave_out, missing_sentence
from edgefuse.datasets.parts import Division, divide
from edgefuse.embeddings.table import COLUMNS, Row, Table, open_table, read_description, write_description
from edgefuse.extraction.encoding import Encoded, Portion, encode_portions
from edgefuse.extraction.filling import Run, fill
from edgefuse.extraction.reuse import require_usable, take_over
from edgefuse.kits.encoders import Encoders
from edgefuse.kits.golden import probe_sample
from edgefuse.leaks import recorded
from edgefuse.progress import Progress, silent
from edgefuse_runtimes.contract import Encoder
from edgefuse_runtimes.encoder import open_encoder
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.folders import alone_in
from edgefuse_runtimes.image import load_image
from edgefuse_runtimes.machine import forget_peak_memory, usable_cores
from edgefuse_runtimes.spec import Bands, EncoderSpec
from edgefuse_runtimes.tokenizers import tokenize, tokenizer_of


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


VIEWS = (2, 4, 8)
"""How many of a picture may be encoded one by one, see `image.views`."""

Encode = Callable[[Encoders, EncoderSpec, Settings, int | None, Sequence[Portion]], Iterator[tuple[int, int, Encoded]]]
"""Runs an encoder over portions, or so many views of each picture, here or elsewhere; yields as `filling.Run` says."""


def extract(
    dataset: Dataset,
    encoders: Encoders,
    folder: Path,
    *,
    split: str | None = None,
    split_seed: int = 0,
    skip_missing: bool = False,
    settings: Settings = Settings(),
    encode: Encode | None = None,
    reuse: Path | None = None,
    views: int | None = None,
    progress: Progress = silent,
) -> Extraction:
    """Make the embedding table `folder`, or go on where an interrupted run of the same inputs stopped.

    Every picture is decoded once before anything is encoded, so that a broken one is named in the first
    seconds and not after hours of notes. A table is only gone on with when encoders, rows, notes and split
    are the same; that a picture's content changed in between is not seen. What the table `reuse` has of the same
    pictures, or notes, from the same encoder is taken over. With `views` (2, 4 or 8) the table also has the
    vectors of so many views of every picture, each for itself, which heads learn from.

    Raises:
        BadInput: a picture cannot be read (with `skip_missing` its sample is left out instead), the given
            split is unusable, an encoder cannot be run, `folder` holds something else, or another process makes it.
    """
    encode = encode or encode_here
    with alone_in(folder):
        _require_place(folder)
        dataset = _readable(dataset, encoders.image, skip_missing, settings, progress)
        samples = dataset.samples
        division = divide(dataset, split, split_seed)
        subgroups = _subgroup_names(samples)
        rows = _rows(samples, division, subgroups)
        description: dict[str, object] = {
            "encoders": encoders.identity,
            "dataset": {"name": dataset.name, "licence": dataset.licence, "drawn": dataset.drawn}
            | recorded(dataset.leaks, division.name),
            "classes": list(dataset.classes),
            **({"multilabel": True} if dataset.multilabel else {}),
            "split_seed": division.seed,
            "views": views,
            "inputs_sha256": inputs_digest(samples, rows),
            "samples_sha256": {
                "image": _hash([(sample.id, sample.image.name) for sample in samples]),
                "text": _hash([(sample.id, sample.text) for sample in samples]),
            },
        }
        if reuse is not None:
            require_usable(description, reuse)
        _begin(folder, description, rows, subgroups)
        if reuse is not None:
            take_over(folder, reuse)
        notes = [sample.text for sample in samples]
        run = partial(encode, encoders, encoders.text, settings, None)
        cut = _extract_notes(notes, encoders, folder, run, progress)
        pictures = [sample.image for sample in samples]
        run = partial(encode, encoders, encoders.image, settings, None)
        fill(folder, "image", range(len(pictures)), pictures, run, progress)
        if views is not None:
            run = partial(encode, encoders, encoders.image, settings, views)
            fill(folder, "views", range(len(pictures)), pictures, run, progress, views)
        return Extraction(open_table(folder), len(set(notes)), cut, dataset.left_out)


def _readable(
    dataset: Dataset, spec: EncoderSpec, skip_missing: bool, settings: Settings, progress: Progress
) -> Dataset:
    """The data set without the samples whose picture cannot be read; they must be allowed to be left out."""
    assert spec.preprocess is not None
    workers = settings.threads or usable_cores()
    complaints = ahead(partial(_complaint, spec.preprocess.bands), dataset.samples, workers=workers, depth=4 * workers)
    found = progress("checking pictures", complaints, len(dataset.samples))
    broken = {sample.id: why for why, sample in zip(found, dataset.samples, strict=True) if why}
    if broken and not skip_missing:
        named = [f"{name} ({why})" for name, why in broken.items()]
        raise BadInput(missing_sentence("have no readable picture", named))
    return leave_out(dataset, list(broken))


def _complaint(bands: Bands, sample: Sample) -> str:
    """Why the sample's picture cannot be read; "" when it can."""
    try:
        load_image(sample.image, bands=bands)
    except BadInput as error:
        return str(error).split(";")[0]
    return ""


def _rows(samples: Sequence[Sample], division: Division, subgroups: Sequence[str]) -> list[Row]:
    return [
        Row(sample.id, sample.label, group, part, tuple(sample.subgroups[name] for name in subgroups))
        for sample, group, part in zip(samples, division.groups, division.parts, strict=True)
    ]


def _subgroup_names(samples: Sequence[Sample]) -> tuple[str, ...]:
    names = tuple(samples[0].subgroups)
    clash = [name for name in names if name in COLUMNS]
    if clash:
        raise BadInput(f"A subgroup may not be called {clash[0]!r}, which a table's own column is; rename it.")
    return names


def inputs_digest(samples: Sequence[Sample], rows: Sequence[Row]) -> str:
    """A hash of all that makes two extractions with the same encoders one; folders may move in between."""
    facts = [
        [*row[: len(COLUMNS)], *row.subgroups, sample.image.name, sample.text]
        for sample, row in zip(samples, rows, strict=True)
    ]
    return _hash(facts)


def _hash(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _require_place(folder: Path) -> None:
    """Refuse a folder that holds something else than a table."""
    if not (folder / "table.json").is_file() and any(folder.iterdir()):
        raise BadInput(f"{folder} exists and is no embedding table; choose another --output.")


def _begin(folder: Path, description: dict[str, object], rows: Sequence[Row], subgroups: Sequence[str]) -> None:
    """Write what the table will be, or check that `folder` is the same table begun earlier."""
    if any(folder.iterdir()):
        known = read_description(folder)
        wanted = json.loads(json.dumps(description))  # as it reads back: tuples become lists
        del wanted["samples_sha256"]  # it is in the hash of all inputs
        changed = [name for name, value in wanted.items() if known.get(name) != value]
        if changed:
            raise BadInput(
                f"{folder} was made from other inputs ({', '.join(changed)} differ in table.json); "
                "choose another --output or remove it first."
            )
    write_description(folder, description, rows, subgroups)


def _extract_notes(notes: Sequence[str], encoders: Encoders, folder: Path, run: Run, progress: Progress) -> int:
    """Write the missing text shards; returns how many notes are over the token limit."""
    tokenization = encoders.text.tokenization
    assert tokenization is not None
    tokenizer = tokenizer_of(encoders.text, encoders.file)
    tokens = {note: tokenize(tokenizer, tokenization, note) for note in dict.fromkeys(notes)}
    number = {note: k for k, note in enumerate(tokens)}
    distinct = [item.ids for item in tokens.values()]
    fill(folder, "text", [number[note] for note in notes], distinct, run, progress)
    return sum(tokens[note].dropped > 0 for note in notes)


def encode_here(
    encoders: Encoders,
    spec: EncoderSpec,
    settings: Settings,
    views: int | None,
    portions: Sequence[Portion],
) -> Iterator[tuple[int, int, Encoded]]:
    """Vectors of the portions by an encoder in this process, as `filling.Run` says."""
    forget_peak_memory()
    with _open(encoders, spec, settings, each_view=views is not None) as encoder:
        for index, encoded in enumerate(encode_portions(encoder, portions, views)):
            yield index, 0, encoded


def _open(encoders: Encoders, spec: EncoderSpec, settings: Settings, *, each_view: bool) -> Encoder:
    return open_encoder(
        spec,
        encoders.folder,
        engine=settings.engine,
        threads=settings.threads,
        side_by_side=True,
        each_view=each_view,
        probe_sample=probe_sample(encoders.file, spec),
        notify=settings.notify,
    )
