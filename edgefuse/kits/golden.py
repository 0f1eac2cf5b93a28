"""Golden samples: drawn pictures and notes with the vectors that every engine must give for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.arrays import read_arrays
from edgefuse_runtimes.contract import Batch, ProbeSample
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import load_image, prepare
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.tokenizers import tokenize, tokenizer_of

COUNT = 8
"""Enough for a mean vector to subtract before two engines are compared."""

VECTORS = "golden.npz"
"""For each encoder file, under `golden_name`, an array (COUNT, d): what the numpy engine gives with it."""
PICTURES = tuple(f"golden/{index}.png" for index in range(COUNT))
NOTES = tuple(f"golden/{index}.txt" for index in range(COUNT))
FILES = (VECTORS, *PICTURES, *NOTES)

Locate = Callable[[str], Path]
"""From the name of a file in an encoders folder or a kit to its path."""


def golden_name(spec: EncoderSpec) -> str:
    """What the vectors of `spec`'s file are called in VECTORS: "image", "text", "image-fp32", ..."""
    return PurePath(spec.file).stem


def golden_vectors(locate: Locate, spec: EncoderSpec) -> NDArray[np.float32]:
    """The vectors (COUNT, d) of the golden samples that an engine must give for `spec`'s file.

    Raises:
        BadInput: the file is missing or damaged, or its vectors are not those of such an encoder.
    """
    path, again = locate(VECTORS), "make or copy the folder again"
    vectors = read_arrays(path, again).get(golden_name(spec))
    if vectors is None or vectors.dtype != np.float32 or vectors.shape != (COUNT, spec.width):
        raise BadInput(
            f"The golden vectors {path} are not {COUNT} {spec.modality} vectors of width {spec.width} "
            f"for {spec.file}; {again}."
        )
    if not np.isfinite(vectors).all():
        raise BadInput(f"The golden vectors {path} hold NaN or infinite numbers; {again}.")
    return vectors


def golden_note(path: Path) -> str:
    """The words of the golden note in the file `path`.

    Raises:
        BadInput: the file is missing, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"The golden note {path} cannot be read ({error}); make or copy the folder again.") from error


def probe_sample(locate: Locate, spec: EncoderSpec) -> Callable[[], ProbeSample]:
    """What an engine is tried on before it is trusted with `spec`'s file: read when called, which raises BadInput."""

    def load() -> ProbeSample:
        vectors = golden_vectors(locate, spec)  # (COUNT, d)
        batch: Batch
        if spec.preprocess is not None:
            batch = prepare(load_image(locate(PICTURES[0])), spec.preprocess)[None]  # (1, 3, H, W)
        else:
            assert spec.tokenization is not None
            note = golden_note(locate(NOTES[0]))
            batch = [tokenize(tokenizer_of(spec, locate), spec.tokenization, note).ids]
        return ProbeSample(batch, vectors[0], vectors.mean(axis=0))

    return load
