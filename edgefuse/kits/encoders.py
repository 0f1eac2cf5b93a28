"""The encoders folder: an image and a text encoder, their specs, and golden samples to try engines on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image

from edgefuse.datasets.drawn import draw
from edgefuse.kits.golden import COUNT, FILES, NOTES, PICTURES, VECTORS, golden_name
from edgefuse.kits.precisions import read_alternatives
from edgefuse.progress import Progress, silent
from edgefuse_runtimes.encoder import encode_notes, encode_pictures, open_encoder
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import read_versioned, sha256, write_json
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.tokenizers import tokenizer_of

SCHEMA = 1
SPECS = "encoders.json"

FIRST_SEED = 1_000_000
"""Far from the seeds of any training example, so that no golden sample was ever trained on."""


@dataclass(frozen=True)
class Encoders:
    """What `export` made and everything later runs."""

    folder: Path
    image: EncoderSpec
    text: EncoderSpec
    alternatives: tuple[EncoderSpec, ...] = ()
    """Further files of the same encoders, in other precisions."""

    def file(self, name: str) -> Path:
        """The path of a file of this folder."""
        return self.folder / name

    @property
    def files(self) -> tuple[str, ...]:
        """The names of all files that a kit takes over from this folder."""
        tokenizer = () if self.text.tokenizer is None else (self.text.tokenizer.file,)
        weights = [part.file for spec in self.specs for part in (spec, spec.data) if part is not None]
        return (*weights, *tokenizer, *FILES)

    @property
    def specs(self) -> tuple[EncoderSpec, ...]:
        """All descriptions, those of the main files first."""
        return (self.image, self.text, *self.alternatives)

    @property
    def identity(self) -> dict[str, dict[str, Any]]:
        """What decides the vectors of the main files, which `extract` runs: heads of another identity do not fit."""
        return {"image": identity(self.image), "text": identity(self.text)}

    @classmethod
    def open(cls, folder: Path) -> Encoders:
        """Read the folder; check that it is whole, and the encoders' files against their hashes.

        Raises:
            BadInput: the folder is no encoders folder, or a file of it is missing or damaged.
        """
        data = read_versioned(folder / SPECS, SCHEMA, what="not an encoders folder", verb="export")
        image = EncoderSpec.from_json(data.get("image"), "image")
        text = EncoderSpec.from_json(data.get("text"), "text")
        alternatives = read_alternatives(data.get("alternatives"), (image, text), f"the encoders folder {folder}")
        encoders = cls(folder, image, text, alternatives)
        for name in encoders.files:
            if not encoders.file(name).is_file():
                raise BadInput(f"{folder} lacks the file {name}; export the encoders again.")
        for part in (*encoders.specs, *(spec.data for spec in encoders.specs), encoders.text.tokenizer):
            if part is None:
                continue
            file = encoders.file(part.file)
            if sha256(file) != part.sha256:
                raise BadInput(f"{file} is not the file that was exported (sha256 differs); export it again.")
        return encoders


def identity(spec: EncoderSpec) -> dict[str, Any]:
    """The part of a spec that decides a sample's vector."""
    data = spec.to_json()
    decisive = {key: data[key] for key in ("sha256", "width", "pooling", "normalize", "preprocess", "tokenization")}
    if spec.tokenizer is not None:
        decisive["tokenizer"] = spec.tokenizer.sha256
    if spec.data is not None:
        decisive["data"] = spec.data.sha256
    return decisive


def write_encoders(
    folder: Path,
    image: EncoderSpec,
    text: EncoderSpec,
    progress: Progress = silent,
    prove: Callable[[Encoders], Encoders] = lambda encoders: encoders,
    *,
    alternatives: Sequence[EncoderSpec] = (),
    request: dict[str, Any] | None = None,
    threads: int | None = None,
) -> Encoders:
    """Finish a folder that already holds the encoders' files: golden samples and `encoders.json`.

    Args:
        folder: to finish.
        image: the image encoder's description.
        text: the text encoder's.
        progress: shows the step.
        prove: called in between, when the encoders can be run; it may add to what the descriptions say.
        alternatives: descriptions of further files of the same encoders, in other precisions.
        request: what was asked for, in plain JSON, to be known again.
        threads: of the engines; the physical cores where it is not given.
    """
    encoders = Encoders(folder, image, text, tuple(alternatives))
    drawn = [draw(FIRST_SEED + index) for index in range(COUNT)]
    write_golden(folder, encoders, [(sample.image, sample.note) for sample in drawn], threads, progress)
    encoders = prove(encoders)
    specs: dict[str, Any] = {"image": encoders.image.to_json(), "text": encoders.text.to_json()}
    if encoders.alternatives:
        specs["alternatives"] = [spec.to_json() for spec in encoders.alternatives]
    write_json(folder / SPECS, {"schema": SCHEMA} | specs | ({} if request is None else {"request": request}))
    return encoders


def write_golden(
    folder: Path,
    encoders: Encoders,
    samples: Sequence[tuple[Image, str]],
    threads: int | None = None,
    progress: Progress = silent,
) -> None:
    """Write golden samples, and the vectors that the numpy engines give for them with every file of `encoders`.

    Args:
        folder: where; it has no golden samples yet.
        encoders: whose files lie in their own folder.
        samples: COUNT pictures with their notes.
        threads: of the engines; the physical cores where it is not given.
        progress: shows the encoders' files.
    """
    (folder / "golden").mkdir()
    pictures, notes = [image for image, _ in samples], [note for _, note in samples]
    for image, note, picture_name, note_name in zip(pictures, notes, PICTURES, NOTES, strict=True):
        image.save(folder / picture_name)
        (folder / note_name).write_text(note + "\n", encoding="utf-8")
    vectors = {}
    for spec in progress("golden samples", encoders.specs, len(encoders.specs)):
        with open_encoder(spec, encoders.folder, engine="numpy", threads=threads) as encoder:
            if spec.modality == "image":
                rows = encode_pictures(encoder, pictures)  # (COUNT, d_i)
            else:
                rows, _ = encode_notes(encoder, tokenizer_of(spec, encoders.file), notes)  # (COUNT, d_t)
        vectors[golden_name(spec)] = rows
    np.savez(folder / VECTORS, **vectors)  # type: ignore[arg-type]  # its stub lets no name but allow_pickle pass
