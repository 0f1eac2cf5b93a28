"""What both engines of an ONNX encoder share: samples in, one at a time, vectors out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.contract import Batch
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import views
from edgefuse_runtimes.onnx.graph import Graph
from edgefuse_runtimes.pooling import l2_normalize, pool
from edgefuse_runtimes.spec import EncoderSpec, Preprocess

Floats = NDArray[np.float32]
Map = Callable[[Callable[[NDArray[Any]], Floats], Sequence[NDArray[Any]]], Iterable[Floats]]
"""As Python's own `map`."""
Shape = tuple[int | None, ...]
"""None stands for the length of a note, which is free."""


def input_shape(graph: Graph, spec: EncoderSpec) -> Shape:
    """Shape that the graph takes: a picture (1, 3, H, W), or the ids of a note (1, t) with any t.

    Free dimensions of a picture are filled with what `spec` prepares.

    Raises:
        BadInput: the graph does not take such a sample.
    """
    kind, dtype, wanted = _wanted(spec.preprocess)
    if len(graph.inputs) != 1 or graph.inputs[0].dtype != dtype:
        names = ", ".join(value.name for value in graph.inputs) or "none"
        raise BadInput(f"{graph.path} must have one {dtype} input, {kind}, but has: {names}; export it again.")
    shape = graph.inputs[0].shape
    fits = len(shape) == len(wanted) and all(isinstance(a, str) or a == b for a, b in zip(shape, wanted, strict=True))
    if not fits:
        raise BadInput(
            f"{graph.path} takes {kind} of the shape {_shown(shape)}, but its description prepares "
            f"{_shown(wanted)}; export the encoder again."
        )
    return wanted


def _wanted(preprocess: Preprocess | None) -> tuple[str, np.dtype[Any], Shape]:
    if preprocess is None:
        return "token ids", np.dtype(np.int64), (1, None)
    return "pictures", np.dtype(np.float32), (1, 3, preprocess.crop, preprocess.crop)


def encode_each(run: Callable[[NDArray[Any]], Floats], batch: Batch, spec: EncoderSpec, *, over: Map = map) -> Floats:
    """Vectors (n, width) of pictures (n, 3, H, W) or of n notes (t,), pooled and normalised as `spec` says.

    A picture's is the mean over its views, before it is normalised.

    Args:
        run: the graph, (1, 3, H, W) float32 or (1, t) int64 -> (1, tokens, width), or (1, width) where the pooling is
            "none".
        batch: pictures or notes, as `spec` says.
        spec: of the encoder.
        over: does the work for each sample, in threads perhaps.

    Raises:
        BadInput: the samples have another shape or type, a note is over the token limit, or a vector is of another
            width or not finite.
    """
    samples: Sequence[NDArray[Any]] = _pictures(batch, spec) if spec.preprocess else _notes(batch, spec)
    count = spec.preprocess.views if spec.preprocess else 0
    rows = np.empty((len(samples), spec.width), np.float32)  # (n, width)

    def encode(sample: NDArray[Any]) -> Floats:
        inputs = views(sample, count) if count else sample  # (v, 3, H, W) or (1, t)
        vectors = [_pooled(run(one[None]), spec) for one in inputs]  # each (width,)
        return vectors[0] if len(vectors) == 1 else np.mean(vectors, axis=0)  # (width,)

    for i, vector in enumerate(over(encode, samples)):
        rows[i] = vector
        if not np.isfinite(rows[i]).all():
            what = "picture" if spec.preprocess is not None else "note"
            raise BadInput(
                f"The encoder {spec.file} gave a vector with NaN or infinity for {what} {i + 1} of "
                f"{len(samples)}; check the {what}, then the encoder's file."
            )
    return l2_normalize(rows) if spec.normalize else rows


def _pictures(batch: Batch, spec: EncoderSpec) -> list[Floats]:
    """One (3, H, W) for each."""
    assert spec.preprocess is not None
    wanted = (3, spec.preprocess.crop, spec.preprocess.crop)
    if not isinstance(batch, np.ndarray) or batch.dtype != np.float32 or batch.shape[1:] != wanted:
        got = f"{batch.dtype} {_shown(batch.shape)}" if isinstance(batch, np.ndarray) else type(batch).__name__
        raise BadInput(
            f"The encoder {spec.file} takes pictures as float32 {_shown(('n', *wanted))}, but was given {got}."
        )
    return list(batch)


def _notes(batch: Batch, spec: EncoderSpec) -> list[NDArray[np.int64]]:
    """One (1, t) for each."""
    assert spec.tokenization is not None
    limit = spec.tokenization.max_tokens
    notes: list[NDArray[np.int64]] = []
    for ids in batch if isinstance(batch, Sequence) else [batch]:
        is_note = isinstance(ids, np.ndarray) and ids.dtype == np.int32 and ids.ndim == 1
        if not is_note or not 1 <= len(ids) <= limit:
            got = f"{ids.dtype} {_shown(ids.shape)}" if isinstance(ids, np.ndarray) else type(ids).__name__
            raise BadInput(f"The encoder {spec.file} takes notes of 1 to {limit} int32 token ids, but was given {got}.")
        notes.append(ids.astype(np.int64)[None])  # (1, t)
    return notes


def _pooled(output: Floats, spec: EncoderSpec) -> Floats:
    wanted = (1, spec.width) if spec.pooling == "none" else (1, "tokens", spec.width)
    fits = output.ndim == len(wanted) and output.shape[0] == 1 and output.shape[-1] == spec.width
    if not fits or 0 in output.shape:
        raise BadInput(
            f"The encoder {spec.file} gave an array of the shape {_shown(output.shape)} where its "
            f"description (pooling {spec.pooling!r}) needs {_shown(wanted)}; export the encoder again."
        )
    return pool(output[0], spec.pooling)  # (width,)


def _shown(shape: tuple[int | str | None, ...]) -> str:
    return "(" + ", ".join("tokens" if size is None else str(size) or "?" for size in shape) + ")"
