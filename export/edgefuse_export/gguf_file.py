"""A GGUF file of the LLaMA architecture, written some rows at a time."""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from edgefuse.extras import importable
from edgefuse.progress import Progress, silent
from edgefuse_export.q8_0 import BLOCK_VALUES, quantize_q8_0
from edgefuse_export.resources import resources
from edgefuse_runtimes.errors import BadInput

AHEAD = 8
"""Blocks of rows that are read before the first of them is written, so that no processor waits for the disk."""

_FILE_TYPES = {"F32": "ALL_F32", "F16": "MOSTLY_F16", "BF16": "MOSTLY_BF16", "Q8_0": "MOSTLY_Q8_0"}
"""What a matrix can be written as -> what the file then says of itself."""


@dataclass(frozen=True)
class Tensor:
    """One tensor to be written: a vector always becomes float32, a matrix what is asked for."""

    name: str
    """As GGUF calls it."""
    shape: tuple[int, ...]
    blocks: Callable[[str], Iterable[NDArray[Any]]]
    """Its rows from the first to the last, some (rows, columns) at a time, floating-point.

    It is told the type that will be written, and may give rows of that type as their bytes, uint8.
    """


def write_gguf(
    file: Path,
    add_metadata: Callable[[Any], None],
    tensors: Sequence[Tensor],
    progress: Progress = silent,
    *,
    matrices: str = "Q8_0",
) -> None:
    """Write a GGUF file of architecture "llama"; `add_metadata` fills the gguf.GGUFWriter.

    No more than some rows of one tensor are in memory at a time.

    Args:
        file: to write.
        add_metadata: called once, before the first tensor is read.
        tensors: in the order of the file.
        progress: shows how many bytes are written.
        matrices: "Q8_0", "F16", "BF16" or "F32".

    Raises:
        BadInput: the rows of a matrix are no multiple of 32 values long, or a tensor cannot be read.
    """
    gguf = importable("gguf", "export")
    writer = gguf.GGUFWriter(file, "llama")
    try:
        add_metadata(writer)
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        writer.add_file_type(gguf.LlamaFileType[_FILE_TYPES[matrices]])
        for tensor in tensors:
            kind = gguf.GGMLQuantizationType[_type(tensor, matrices)]
            writer.add_tensor_info(
                tensor.name, tensor.shape, np.dtype(np.float32), stored_bytes(tensor, matrices), kind
            )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        size = functools.partial(stored_bytes, matrices=matrices)
        whole = sum(map(size, tensors))
        with ThreadPoolExecutor(resources().threads) as pool:
            for tensor in progress("writing the text encoder", tensors, whole, size=size):
                kind = gguf.GGMLQuantizationType[_type(tensor, matrices)]
                finish = functools.partial(_finished, gguf, kind)
                finished = _in_order(pool, finish, tensor.blocks(kind.name))
                writer.write_tensor_data(_Rows(finished, stored_bytes(tensor, matrices)))
    finally:
        writer.close()


def stored_bytes(tensor: Tensor, matrices: str) -> int:
    """Size of a tensor in a file whose matrices are of the type `matrices`.

    Raises:
        BadInput: the rows of a matrix are no multiple of 32 values long.
    """
    gguf = importable("gguf", "export")
    if len(tensor.shape) == 2 and tensor.shape[1] % BLOCK_VALUES:
        raise BadInput(
            f"The matrix {tensor.name!r} of the text encoder has rows of {tensor.shape[1]} values, and Q8_0 "
            f"needs a multiple of {BLOCK_VALUES}; choose another encoder."
        )
    values, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[_type(tensor, matrices)]]
    return math.prod(tensor.shape) // int(values) * int(size)


def _type(tensor: Tensor, matrices: str) -> str:
    return matrices if len(tensor.shape) == 2 else "F32"


def _finished(gguf: Any, kind: Any, block: NDArray[Any]) -> NDArray[Any]:
    """Rows as they are stored, C-contiguous."""
    if block.dtype == np.uint8:
        return block
    if kind.name == "Q8_0":
        return quantize_q8_0(block)
    return np.ascontiguousarray(gguf.quants.quantize(block, kind))


def _in_order(
    pool: ThreadPoolExecutor, function: Callable[[NDArray[Any]], NDArray[Any]], items: Iterable[NDArray[Any]]
) -> Iterator[NDArray[Any]]:
    """What `pool.map` gives, but only `AHEAD` items are taken before the first result is."""
    waiting: deque[Future[NDArray[Any]]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


class _Rows:
    """What gguf's writer asks of an array, `nbytes` and `tofile`, for one that is made while it is written."""

    def __init__(self, blocks: Iterable[NDArray[Any]], nbytes: int) -> None:
        self.nbytes = nbytes
        self._blocks = blocks

    def tofile(self, file: BinaryIO) -> None:
        """Write all rows.

        Raises:
            BadInput: a row cannot be read.
        """
        for block in self._blocks:  # uint8 (rows, bytes of a row), or floats of the type of the tensor
            file.write(block.data)
