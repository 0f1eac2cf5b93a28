"""A GGUF file of Q8_0 weights, written one tensor at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.progress import Progress, silent
from edgefuse_export.sources import importable
from edgefuse_runtimes.errors import BadInput

BLOCK_VALUES, BLOCK_BYTES = 32, 34
"""Q8_0: 32 int8 values and their float16 scale (ggml-common.h)."""


@dataclass(frozen=True)
class Tensor:
    """One tensor to be written: a matrix as Q8_0, a vector as float32."""

    name: str
    """As GGUF calls it."""
    shape: tuple[int, ...]
    read: Callable[[], NDArray[Any]]
    """Its values, floating-point in `shape`; or its finished Q8_0 blocks, uint8 (rows, bytes of a row)."""


def write_q8_0(
    file: Path, add_metadata: Callable[[Any], None], tensors: Sequence[Tensor], progress: Progress = silent
) -> None:
    """Write a GGUF file of architecture "llama"; `add_metadata` fills the gguf.GGUFWriter.

    No more than one tensor is in memory at a time.

    Raises:
        BadInput: the rows of a matrix are no multiple of 32 values long, or a tensor cannot be read.
    """
    gguf = importable("gguf", "export")
    q8_0, f32 = gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.F32
    writer = gguf.GGUFWriter(file, "llama")
    try:
        add_metadata(writer)
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
        for tensor in tensors:
            kind = q8_0 if len(tensor.shape) == 2 else f32
            writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), _bytes(tensor), kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in progress("writing the text encoder", tensors, len(tensors)):
            writer.write_tensor_data(_stored(tensor, gguf.quants.quantize, q8_0))
    finally:
        writer.close()


def _bytes(tensor: Tensor) -> int:
    values = math.prod(tensor.shape)
    if len(tensor.shape) != 2:
        return 4 * values
    if tensor.shape[1] % BLOCK_VALUES:
        raise BadInput(
            f"The matrix {tensor.name!r} of the text encoder has rows of {tensor.shape[1]} values, and Q8_0 "
            f"needs a multiple of {BLOCK_VALUES}; choose another encoder."
        )
    return values // BLOCK_VALUES * BLOCK_BYTES


def _stored(tensor: Tensor, quantize: Callable[..., NDArray[np.uint8]], q8_0: Any) -> NDArray[Any]:
    values = tensor.read()
    if values.dtype == np.uint8:
        return values
    if len(tensor.shape) == 2:
        return quantize(values, q8_0)  # (rows, columns / 32 * 34)
    return values.astype(np.float32)
