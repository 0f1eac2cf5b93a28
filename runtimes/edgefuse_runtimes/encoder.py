"""The contract of every encoder, the one place that chooses its engine, and pictures or notes in, vectors out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module, util
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.errors import BadInput, EngineUnavailable
from edgefuse_runtimes.image import Picture, load_image, prepare
from edgefuse_runtimes.machine import physical_cores
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.tokenizers import Tokenizer, tokenize

Memory = Literal["normal", "low"]
"""How freely an engine may trade memory for speed."""

Batch = NDArray[np.float32] | Sequence[NDArray[np.int32]]
"""Pictures float32 (n, 3, H, W), or notes as n arrays of int32 token ids."""


class Encoder(Protocol):
    """A frozen model that turns samples of one modality into vectors."""

    spec: EncoderSpec

    def encode(self, batch: Batch) -> NDArray[np.float32]:
        """Vectors (n, d); each is the same alone or in any batch (1 - cosine <= 1e-6)."""
        ...

    def info(self) -> dict[str, Any]:
        """Engine, version, file, threads, precision and memory setting, as plain JSON types."""
        ...

    def close(self) -> None:
        """Give the memory back; the encoder cannot be used afterwards."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@dataclass(frozen=True)
class ProbeSample:
    """One sample that every engine must agree on."""

    batch: Batch
    """A batch of one."""
    expected: NDArray[np.float32]
    """Its vector (d,)."""
    centre: NDArray[np.float32]
    """Mean vector (d,) of a sample set, subtracted before vectors are compared."""


@dataclass(frozen=True)
class Engine:
    """One way to run one file format."""

    name: str
    encoder: str
    """"module:class" of the encoder."""
    module: str = ""
    """The library it needs beside numpy; "": none."""
    package: str = ""
    """What the library is called where packages come from."""
    child: str = ""
    """"module:class" that a probe runs in a child process."""


_ONNXRUNTIME = "edgefuse_runtimes.onnx.with_onnxruntime:OnnxRuntimeEncoder"
_LLAMA_CPP = "edgefuse_runtimes.gguf.with_llama_cpp"

ENGINES = {
    "onnx": (
        Engine("onnxruntime", _ONNXRUNTIME, "onnxruntime", "onnxruntime", _ONNXRUNTIME),
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
    probe_sample: Callable[[], ProbeSample] | None = None,
    notify: Callable[[str], None] = lambda sentence: None,
) -> Encoder:
    """The encoder of `spec`, on the engine asked for or, with "auto", on the fastest one that can be trusted.

    A native engine is trusted under "auto" once its probe passed on this machine (`probe_sample` gives what it
    is tried on; without one, numpy runs). An engine name of the other format means "auto", so that one option
    serves both encoders.

    Raises:
        BadInput: the file is missing or broken, or the engine asked for is not installed.
    """
    path = folder / spec.file
    if not path.is_file():
        raise BadInput(f"The encoder file {path} is missing; copy or install the folder again.")
    if spec.format not in ENGINES:
        raise BadInput(f"The encoder {spec.file} has the unknown format {spec.format!r}; upgrade edgefuse.")
    settings: dict[str, Any] = {"threads": threads or physical_cores(), "memory": memory}
    candidates = ENGINES[spec.format]
    asked = next((candidate for candidate in candidates if candidate.name == engine), None)
    if asked is not None:
        if not _installed(asked):
            raise BadInput(f"The engine {engine} is not installed; install it or choose another --engine.")
        return _encoder_class(asked)(path, spec, **settings)
    for candidate in candidates[:-1]:
        if probe_sample is None or not _installed(candidate):
            continue
        from edgefuse_runtimes.probe import probe

        verdict = probe(candidate, path, spec, probe_sample, **settings)
        if verdict.trusted:
            try:
                return _encoder_class(candidate)(path, spec, **settings)
            except EngineUnavailable as error:
                notify(f"{error} numpy runs {spec.file} instead.")
        else:
            notify(f"{candidate.name} cannot be trusted with {spec.file} here ({verdict.reason}); numpy runs it.")
    return _encoder_class(candidates[-1])(path, spec, **settings)


def encode_pictures(encoder: Encoder, pictures: Sequence[Picture]) -> NDArray[np.float32]:
    """Vectors (n, d) of pictures, decoded and prepared one at a time."""
    assert encoder.spec.preprocess is not None
    rows = [encoder.encode(prepare(load_image(picture), encoder.spec.preprocess)[None]) for picture in pictures]
    return np.concatenate(rows)  # (n, d)


def encode_notes(encoder: Encoder, tokenizer: Tokenizer, notes: Sequence[str]) -> tuple[NDArray[np.float32], list[int]]:
    """Vectors (n, d) of notes, and how many tokens of each were over the limit and dropped."""
    assert encoder.spec.tokenization is not None
    tokens = [tokenize(tokenizer, encoder.spec.tokenization, note) for note in notes]
    return encoder.encode([item.ids for item in tokens]), [item.dropped for item in tokens]


def _installed(engine: Engine) -> bool:
    return not engine.module or util.find_spec(engine.module) is not None


def _encoder_class(engine: Engine) -> Callable[..., Encoder]:
    module, name = engine.encoder.split(":")
    return cast(Callable[..., Encoder], getattr(import_module(module), name))
