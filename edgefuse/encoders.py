"""The encoders folder: an image and a text encoder, their specs, and golden samples to try engines on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgefuse.datasets.drawn import draw
from edgefuse.golden import COUNT, FILES, NOTES, PICTURES, VECTORS
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

    def file(self, name: str) -> Path:
        """The path of a file of this folder."""
        return self.folder / name

    @property
    def files(self) -> tuple[str, ...]:
        """The names of all files that a kit takes over from this folder."""
        tokenizer = () if self.text.tokenizer is None else (self.text.tokenizer.file,)
        return (self.image.file, self.text.file, *tokenizer, *FILES)

    @property
    def identity(self) -> dict[str, dict[str, Any]]:
        """What decides the vectors: heads and tables made with another identity do not fit these encoders."""
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
        encoders = cls(folder, image, text)
        for name in encoders.files:
            if not encoders.file(name).is_file():
                raise BadInput(f"{folder} lacks the file {name}; export the encoders again.")
        for part in (encoders.image, encoders.text, encoders.text.tokenizer):
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
    return decisive | ({} if spec.tokenizer is None else {"tokenizer": spec.tokenizer.sha256})


def write_encoders(
    folder: Path,
    image: EncoderSpec,
    text: EncoderSpec,
    progress: Progress = silent,
    prove: Callable[[Encoders], Encoders] = lambda encoders: encoders,
    *,
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
        request: what was asked for, in plain JSON, to be known again.
        threads: of the engines; the physical cores where it is not given.
    """
    for _ in progress("golden samples", [None], 1):
        _write_golden(folder, image, text, threads)
    encoders = prove(Encoders(folder, image, text))
    specs = {"image": encoders.image.to_json(), "text": encoders.text.to_json()}
    write_json(folder / SPECS, {"schema": SCHEMA} | specs | ({} if request is None else {"request": request}))
    return encoders


def _write_golden(folder: Path, image: EncoderSpec, text: EncoderSpec, threads: int | None) -> None:
    """Draw the golden samples and store the vectors that the numpy engines give for them."""
    (folder / "golden").mkdir()
    samples = [draw(FIRST_SEED + index) for index in range(COUNT)]
    for sample, picture, note in zip(samples, PICTURES, NOTES, strict=True):
        sample.image.save(folder / picture)
        (folder / note).write_text(sample.note + "\n", encoding="utf-8")
    with open_encoder(text, folder, engine="numpy", threads=threads) as encoder:
        texts, _ = encode_notes(encoder, tokenizer_of(text, folder.joinpath), [sample.note for sample in samples])
    with open_encoder(image, folder, engine="numpy", threads=threads) as encoder:
        images = encode_pictures(encoder, [sample.image for sample in samples])
    np.savez(folder / VECTORS, image=images, text=texts)  # (COUNT, d_i), (COUNT, d_t)
