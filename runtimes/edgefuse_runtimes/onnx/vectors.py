"""What both engines of an ONNX image encoder share: pictures in, one at a time, vectors out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.contract import Batch
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.onnx.graph import Graph
from edgefuse_runtimes.pooling import l2_normalize, pool
from edgefuse_runtimes.spec import EncoderSpec

Floats = NDArray[np.float32]


def input_shape(graph: Graph, spec: EncoderSpec) -> tuple[int, int, int, int]:
    """Shape (1, 3, H, W) that the graph takes; free dimensions are filled with what `spec` prepares.

    Raises:
        BadInput: the graph does not take such a picture.
    """
    if spec.preprocess is None:
        raise BadInput(f"The encoder {graph.path} is no image encoder; ONNX files are run for images only.")
    wanted = (1, 3, spec.preprocess.crop, spec.preprocess.crop)
    if len(graph.inputs) != 1 or graph.inputs[0].dtype != np.float32:
        names = ", ".join(value.name for value in graph.inputs) or "none"
        raise BadInput(f"{graph.path} must have one float32 input, pictures, but has: {names}; export it again.")
    shape = graph.inputs[0].shape
    fits = len(shape) == 4 and all(isinstance(a, str) or a == b for a, b in zip(shape, wanted, strict=True))
    if not fits:
        raise BadInput(
            f"{graph.path} takes pictures of the shape {_shown(shape)}, but its description prepares "
            f"{_shown(wanted)}; export the encoder again."
        )
    return wanted


def encode_one_by_one(
    run: Callable[[Floats], Floats],
    batch: Batch,
    shape: tuple[int, int, int, int],
    spec: EncoderSpec,
) -> Floats:
    """Vectors (n, width) of pictures (n, 3, H, W), pooled and normalised as `spec` says.

    Args:
        run: the graph, (1, 3, H, W) -> (1, t, width), or (1, width) where the pooling is "none".
        batch: pictures.
        shape: what `input_shape` gave.
        spec: of the encoder.

    Raises:
        BadInput: the pictures have another shape or type, or a vector is of another width or not finite.
    """
    if not isinstance(batch, np.ndarray) or batch.dtype != np.float32 or batch.shape[1:] != shape[1:]:
        got = f"{batch.dtype} {_shown(batch.shape)}" if isinstance(batch, np.ndarray) else type(batch).__name__
        raise BadInput(
            f"The encoder {spec.file} takes pictures as float32 {_shown(('n', *shape[1:]))}, but was given {got}."
        )
    rows = np.empty((len(batch), spec.width), np.float32)  # (n, width)
    for i in range(len(batch)):
        rows[i] = _pooled(run(batch[i : i + 1]), spec)  # (width,)
        if not np.isfinite(rows[i]).all():
            raise BadInput(
                f"The encoder {spec.file} gave a vector with NaN or infinity for picture {i + 1} of "
                f"{len(batch)}; check the picture, then the encoder's file."
            )
    return l2_normalize(rows) if spec.normalize else rows


def _pooled(output: Floats, spec: EncoderSpec) -> Floats:
    wanted = (1, spec.width) if spec.pooling == "none" else (1, "tokens", spec.width)
    fits = output.ndim == len(wanted) and output.shape[0] == 1 and output.shape[-1] == spec.width
    if not fits or 0 in output.shape:
        raise BadInput(
            f"The encoder {spec.file} gave an array of the shape {_shown(output.shape)} where its "
            f"description (pooling {spec.pooling!r}) needs {_shown(wanted)}; export the encoder again."
        )
    return pool(output[0], spec.pooling)  # (width,)


def _shown(shape: tuple[int | str, ...]) -> str:
    return "(" + ", ".join(str(size) or "?" for size in shape) + ")"
