"""The golden samples, run on this device: does an engine give the vectors and the answers that the kit says it must?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.kits.golden import NOTES, PICTURES, golden_note, golden_vectors, probe_sample
from edgefuse.kits.kit import Kit
from edgefuse_runtimes.contract import Engine
from edgefuse_runtimes.encoder import ENGINES, encode_notes, encode_pictures, is_installed, open_encoder
from edgefuse_runtimes.errors import EngineUnavailable
from edgefuse_runtimes.machine import usable_cores
from edgefuse_runtimes.probe import MIN_COSINE, centred_cosine, library_version, probe
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.tokenizers import tokenizer_of

EXACT = {"image": 0.9999, "text": 0.999}
"""Least centred cosine to a golden vector, where a file is not rounded as it runs."""
EXACT_SHIFT = 0.02
"""Most that a probability may differ there."""
ROUNDED_SHIFT = 0.1
"""Most that a probability may differ where the cosine keeps the limit of a rounded file (`MIN_COSINE`) alone.

Set above what right engines reached on golden samples: .042 with an int8 image encoder, .023 with an int8 text encoder
and .010 with Q8_0, where the largest of 8 samples counts.
"""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Replayed:
    """What one engine did with one encoder file on the golden samples."""

    file: str
    modality: str
    precision: str
    engine: str
    library: str
    """Version of the engine's library here."""
    used: bool
    """Whether answers here may come from it: its probe passed."""
    reason: str = ""
    """Why it is not used."""
    cosine: float | None = None
    """Least centred cosine to a golden vector."""
    shift: float | None = None
    """Most that a probability differs, with the other modality's golden vectors."""
    flipped: int = 0
    """Samples with another label."""
    limits: str = ""
    """"exact" or "rounded": which limits were applied."""
    least_cosine: float | None = None
    most_shift: float | None = None
    is_right: bool = True
    ms: float | None = None
    """Of one sample, the median."""


def replay(kit: Kit, *, threads: int | None = None) -> Iterator[Replayed]:
    """Every engine that is installed here with every encoder file of the kit, in turn.

    Raises:
        BadInput: a file of the kit is damaged.
    """
    for spec in (*kit.encoders(), *kit.alternatives):
        for engine in ENGINES[spec.format]:
            if is_installed(engine):
                yield _replay(kit, spec, engine, threads or usable_cores())


def judge(kit: Kit, spec: EncoderSpec, vectors: Floats) -> dict[str, Any]:
    """How far vectors (COUNT, d) of the golden samples are from what they must be: the last fields of `Replayed`.

    Of a rounded file, a label may be another one where the two likeliest lie no further apart than a probability may
    differ: two right engines can differ there.
    """
    golden = golden_vectors(kit.file, spec)  # (COUNT, d)
    centre = golden.mean(axis=0)  # (d,)
    cosine = min(centred_cosine(one, other, centre) for one, other in zip(vectors, golden, strict=True))
    expected, found = _probabilities(kit, spec, golden), _probabilities(kit, spec, vectors)  # (COUNT, K)
    shift = float(np.abs(expected - found).max())
    other = [kit.head.answer(one) != kit.head.answer(two) for one, two in zip(expected, found, strict=True)]
    rounded = MIN_COSINE.get(spec.precision, EXACT[spec.modality])
    exact = cosine >= EXACT[spec.modality] or rounded >= EXACT[spec.modality]
    least, most = (EXACT[spec.modality], EXACT_SHIFT) if exact else (rounded, ROUNDED_SHIFT)
    close = [not exact and _lead(kit, row) <= most for row in expected]
    is_same = all(near or not changed for near, changed in zip(close, other, strict=True))
    return {
        "cosine": cosine,
        "shift": shift,
        "flipped": sum(other),
        "limits": "exact" if exact else "rounded",
        "least_cosine": least,
        "most_shift": most,
        "is_right": bool(cosine >= least and shift <= most and is_same),  # NaN is wrong too
    }


def _lead(kit: Kit, probabilities: Floats) -> float:
    """How far the probabilities (K,) of a sample are from those of another label."""
    if kit.head.multilabel:
        return float(np.abs(probabilities - 0.5).min())
    second, first = np.sort(probabilities)[-2:]
    return float(first - second)


def _replay(kit: Kit, spec: EncoderSpec, engine: Engine, threads: int) -> Replayed:
    path = kit.file(spec.file)
    known = Replayed(spec.file, spec.modality, spec.precision, engine.name, library_version(engine), used=True)
    if engine.module:
        verdict = probe(engine, path, spec, probe_sample(kit.file, spec), threads=threads, memory="low")
        if not verdict.trusted:
            return replace(known, used=False, reason=verdict.reason)
    try:
        vectors, ms = _encode(kit, spec, engine, threads)
    except EngineUnavailable as error:
        return replace(known, used=False, reason=str(error).rstrip("."))
    return replace(known, **judge(kit, spec, vectors), ms=ms)


def _encode(kit: Kit, spec: EncoderSpec, engine: Engine, threads: int) -> tuple[Floats, float]:
    """The vectors (COUNT, d) of the golden samples, and the median of the milliseconds that one took."""
    rows, times = [], []
    with open_encoder(spec, kit.file(spec.file).parent, engine=engine.name, threads=threads, memory="low") as encoder:
        tokenizer = tokenizer_of(spec, kit.file) if spec.modality == "text" else None
        for picture, note in zip(PICTURES, NOTES, strict=True):
            started = time.perf_counter()
            if tokenizer is None:
                rows.append(encode_pictures(encoder, [kit.file(picture)])[0])  # (d,)
            else:
                words = golden_note(kit.file(note))
                rows.append(encode_notes(encoder, tokenizer, [words])[0][0])  # (d,)
            times.append((time.perf_counter() - started) * 1000)
    return np.stack(rows), float(np.median(times))


def _probabilities(kit: Kit, spec: EncoderSpec, vectors: Floats) -> Floats:
    """Of the golden samples (COUNT, K), the other modality's vectors being golden."""
    if spec.modality == "image":
        return kit.head.probabilities(golden_vectors(kit.file, kit.text), vectors)
    return kit.head.probabilities(vectors, golden_vectors(kit.file, kit.image))
