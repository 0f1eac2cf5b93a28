"""Golden samples: drawn pictures and notes with the vectors that every engine must give for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefuse.datasets.drawn import draw
from edgefuse_runtimes.encoder import ProbeSample, encode_notes, encode_pictures, open_encoder
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import load_image, prepare
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.tokenizers import open_tokenizer, tokenize

COUNT = 8
"""Enough for a mean vector to subtract before two engines are compared."""

FIRST_SEED = 1_000_000
"""Far from the seeds of any training example, so that no golden sample was ever trained on."""


VECTORS = "golden.npz"
PICTURES = tuple(f"golden/{index}.png" for index in range(COUNT))
NOTES = tuple(f"golden/{index}.txt" for index in range(COUNT))

Locate = Callable[[str], Path]
"""From the name of a file in an encoders folder or a kit to its path."""


def write_golden(folder: Path, image: EncoderSpec, text: EncoderSpec) -> None:
    """Draw the golden samples into `folder` and store the vectors that the numpy engines give for them."""
    (folder / "golden").mkdir()
    for index, (picture, note) in enumerate(zip(PICTURES, NOTES, strict=True)):
        drawn = draw(FIRST_SEED + index)
        drawn.image.save(folder / picture)
        (folder / note).write_text(drawn.note + "\n", encoding="utf-8")
    notes = [_read_note(folder / note) for note in NOTES]
    with open_encoder(text, folder, engine="numpy") as encoder:
        texts, _ = encode_notes(encoder, open_tokenizer(folder / text.file), notes)  # (k, d_t)
    with open_encoder(image, folder, engine="numpy") as encoder:
        images = encode_pictures(encoder, [folder / picture for picture in PICTURES])  # (k, d_i)
    np.savez(folder / VECTORS, image=images, text=texts)


def golden_vectors(locate: Locate) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The stored vectors of the golden samples: image (k, d_i), text (k, d_t).

    Raises:
        BadInput: the file is missing, damaged or of another shape.
    """
    path = locate(VECTORS)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            image, text = arrays["image"], arrays["text"]
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"The golden vectors {path} cannot be read ({error}); make or copy them again.") from error
    if image.ndim != 2 or text.ndim != 2 or len(image) != COUNT or len(text) != COUNT:
        raise BadInput(f"The golden vectors {path} have the wrong shape; make or copy them again.")
    return image, text


def probe_sample(locate: Locate, spec: EncoderSpec) -> Callable[[], ProbeSample]:
    """What an engine is tried on before it is trusted with `spec`'s file; read only when it is needed."""

    def load() -> ProbeSample:
        image, text = golden_vectors(locate)
        if spec.preprocess is not None:
            pixels = prepare(load_image(locate(PICTURES[0])), spec.preprocess)  # (3, H, W)
            return ProbeSample(pixels[None], image[0], image.mean(axis=0))
        assert spec.tokenization is not None
        tokens = tokenize(open_tokenizer(locate(spec.file)), spec.tokenization, _read_note(locate(NOTES[0])))
        return ProbeSample([tokens.ids], text[0], text.mean(axis=0))

    return load


def _read_note(path: Path) -> str:
    return path.read_text(encoding="utf-8")
