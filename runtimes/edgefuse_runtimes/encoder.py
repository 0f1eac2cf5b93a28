"""Encoders: the one place that chooses an engine for a file, and pictures or notes in, vectors out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module, util
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.contract import Encoder, Engine, Memory, ProbeSample
from edgefuse_runtimes.errors import BadInput, EngineUnavailable
from edgefuse_runtimes.fallback import FallbackEncoder
from edgefuse_runtimes.image import Picture, read_picture
from edgefuse_runtimes.machine import usable_cores
from edgefuse_runtimes.probe import distrust, probe
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.tokenizers import Tokenizer, tokenize

_ONNXRUNTIME = "edgefuse_runtimes.onnx.with_onnxruntime"
_LLAMA_CPP = "edgefuse_runtimes.gguf.with_llama_cpp"

ENGINES = {
    "onnx": (
        Engine(
            "onnxruntime",
            f"{_ONNXRUNTIME}:OnnxRuntimeWorker",
            "onnxruntime",
            "onnxruntime",
            f"{_ONNXRUNTIME}:OnnxRuntimeEncoder",
            side_by_side=True,
        ),
        Engine("numpy", "edgefuse_runtimes.onnx.with_numpy:OnnxNumpyEncoder"),
    ),
    "gguf": (
        Engine(
            "llama.cpp",
            f"{_LLAMA_CPP}:LlamaCppEncoder",
            "llama_cpp",
            "llama-cpp-python",
            f"{_LLAMA_CPP}:LlamaCppInProcess",
        ),
        Engine("numpy", "edgefuse_runtimes.gguf.with_numpy:GgufNumpyEncoder"),
    ),
}
"""Per format, the fastest first; the last one runs wherever numpy does."""

ENGINE_NAMES = ("auto", "onnxruntime", "llama.cpp", "numpy")


def open_encoder(
    spec: EncoderSpec,
    folder: Path,
    *,
    engine: str = "auto",
    threads: int | None = None,
    memory: Memory = "normal",
    side_by_side: bool = False,
    each_view: bool = False,
    probe_sample: Callable[[], ProbeSample] | None = None,
    notify: Callable[[str], None] = lambda sentence: None,
) -> Encoder:
    """The encoder of `spec`, on the engine asked for or, with "auto", on the fastest one that can be trusted.

    A native engine is trusted under "auto" once its probe passed on this machine (`probe_sample` gives what it
    is tried on; without one, numpy runs). If it fails over a later sample, numpy takes over with that one, `notify`
    is told, and a death is remembered. An engine name of the other format means "auto", so that one option serves
    both encoders.

    With `side_by_side` each thread takes a sample of its own, where the engine can: that is for large batches, of which
    more samples a second come out. The vectors are the same.

    With `each_view` a picture's vector is that of the input as it is, and not the mean over views of it.

    Raises:
        BadInput: the file is missing or broken, or the engine asked for is not installed.
    """
    path = folder / spec.file
    if not path.is_file():
        raise BadInput(f"The encoder file {path} is missing; copy or install the folder again.")
    if spec.data is not None and not (folder / spec.data.file).is_file():
        raise BadInput(f"The encoder's data {folder / spec.data.file} is missing; copy or install the folder again.")
    if spec.format not in ENGINES:
        raise BadInput(f"The encoder {spec.file} has the unknown format {spec.format!r}; upgrade edgefuse.")
    settings: dict[str, Any] = {"threads": threads or usable_cores(), "memory": memory}
    candidates = ENGINES[spec.format]
    opened = _without_mean(spec) if each_view else spec  # the probe, whose sample's vector is a mean, goes by `spec`
    asked = next((candidate for candidate in candidates if candidate.name == engine), None)
    if asked is not None:
        if not is_installed(asked):
            raise BadInput(f"The engine {engine} is not installed; install it or choose another --engine.")
        return _open(asked, path, opened, settings, side_by_side)

    def numpy_encoder() -> Encoder:
        return _open(candidates[-1], path, opened, settings, side_by_side)

    for candidate in candidates[:-1]:
        if probe_sample is None or not is_installed(candidate):
            continue
        verdict = probe(candidate, path, spec, probe_sample, **settings)
        if not verdict.trusted:
            notify(f"{candidate.name} cannot be trusted with {spec.file} here ({verdict.reason}); numpy runs it.")
            continue

        def replaced(error: EngineUnavailable, engine: Engine = candidate) -> None:
            distrust(engine, path, spec, error, **settings)
            notify(f"{str(error).rstrip('.')}; numpy runs {spec.file} instead.")

        try:
            native = _open(candidate, path, opened, settings, side_by_side)
            return FallbackEncoder(native, numpy_encoder, replaced)
        except EngineUnavailable as error:
            replaced(error)
    return numpy_encoder()


def encode_pictures(encoder: Encoder, pictures: Sequence[Picture]) -> NDArray[np.float32]:
    """Vectors (n, d) of pictures, decoded and prepared one at a time."""
    preprocess = encoder.spec.preprocess
    assert preprocess is not None
    rows = [encoder.encode(read_picture(picture, preprocess)[None]) for picture in pictures]
    return np.concatenate(rows)  # (n, d)


def encode_notes(encoder: Encoder, tokenizer: Tokenizer, notes: Sequence[str]) -> tuple[NDArray[np.float32], list[int]]:
    """Vectors (n, d) of notes, and how many tokens of each were over the limit and dropped."""
    assert encoder.spec.tokenization is not None
    tokens = [tokenize(tokenizer, encoder.spec.tokenization, note) for note in notes]
    return encoder.encode([item.ids for item in tokens]), [item.dropped for item in tokens]


def is_installed(engine: Engine) -> bool:
    """Whether the library that the engine needs is there; it is not imported, which may be its death."""
    return not engine.module or util.find_spec(engine.module) is not None


def _without_mean(spec: EncoderSpec) -> EncoderSpec:
    assert spec.preprocess is not None
    return replace(spec, preprocess=replace(spec.preprocess, views=1))


def _open(engine: Engine, path: Path, spec: EncoderSpec, settings: dict[str, Any], side_by_side: bool) -> Encoder:
    module, name = engine.encoder.split(":")
    make = cast(Callable[..., Encoder], getattr(import_module(module), name))
    if side_by_side and engine.side_by_side and settings["threads"] > 1:
        settings = settings | {"side_by_side": True}
    return make(path, spec, **settings)
