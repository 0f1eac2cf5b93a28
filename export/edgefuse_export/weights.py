"""Safetensors read some rows at a time, without torch: the format is a JSON header and plain bytes.

The layout is the one of https://huggingface.co/docs/safetensors; every offset is checked against the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.progress import Progress, silent
from edgefuse_export.sources import weight_files
from edgefuse_runtimes.errors import BadInput

_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
}
_EXPONENT: dict[str, NDArray[np.unsignedinteger[Any]]] = {
    "F64": np.array(0x7FF0000000000000, "<u8"),
    "F32": np.array(0x7F800000, "<u4"),
    "F16": np.array(0x7C00, "<u2"),
    "BF16": np.array(0x7F80, "<u2"),
}
"""The exponent's bits: a number of which all are set is NaN or infinite."""

MAX_HEADER_BYTES = 100_000_000
"""The format's own limit."""

BLOCK_BYTES = 4 << 20
"""Read at a time: enough to be fast, little enough to stay in a processor's cache while it is worked on."""


@dataclass(frozen=True)
class TensorPlace:
    """Where a tensor lies."""

    file: Path
    name: str
    dtype: str
    """As the file writes it: "F32", "F16", "BF16", ..."""
    shape: tuple[int, ...]
    offset: int
    """Of its first byte, from the beginning of the file."""
    bytes: int


def find_tensors(folder: Path) -> dict[str, TensorPlace]:
    """All tensors of a Hugging Face folder, single or sharded, by name; nothing but headers is read.

    Raises:
        BadInput: there are no safetensors, or a file is truncated or damaged.
    """
    tensors: dict[str, TensorPlace] = {}
    for file in weight_files(folder):
        for place in _read_header(file):
            if place.name in tensors:
                raise BadInput(f"{folder} holds the tensor {place.name!r} twice; the model's folder is damaged.")
            tensors[place.name] = place
    return tensors


def read_rows(place: TensorPlace, group: int = 1) -> Iterator[NDArray[Any]]:
    """The values from the first row to the last, some (rows, columns) at a time, every one of them finite.

    They are float16 or float32: bfloat16 is widened, float64 narrowed.

    Args:
        place: of the tensor.
        group: each block but the last has a multiple of this many rows.

    Raises:
        BadInput: its type is not supported, it holds NaN or infinite values, or its file has become shorter.
    """
    if place.dtype not in _DTYPES:
        raise BadInput(
            f"{place.file} holds the tensor {place.name!r} as {place.dtype}; "
            "only F32, F16 and BF16 weights can be used."
        )
    dtype, columns = _DTYPES[place.dtype], place.shape[-1] if place.shape else 1
    rows = math.prod(place.shape[:-1])
    for raw in read_blocks(place.file, place.offset, rows, columns * dtype.itemsize, group):
        exponent = _EXPONENT[place.dtype]
        if raw.size and (raw.view(exponent.dtype) & exponent).max() == exponent:  # five times as fast as isfinite
            raise BadInput(
                f"{place.file} has values that are not finite in {place.name!r}; "
                "the encoder is damaged, fetch it again."
            )
        values = raw.view(dtype)  # (rows, columns)
        if place.dtype == "BF16":
            values = (values.astype(np.uint32) << 16).view(np.float32)  # bfloat16 is the upper half of a float32
        if place.dtype == "F64":
            values = values.astype(np.float32)
        yield values


def read_blocks(path: Path, offset: int, rows: int, row_bytes: int, group: int = 1) -> Iterator[NDArray[np.uint8]]:
    """The bytes of `rows` rows, some (rows, row_bytes) at a time: read and not mapped, so that they do not stay.

    Args:
        path: of the file.
        offset: of the first row.
        rows: how many.
        row_bytes: of each row.
        group: each block but the last has a multiple of this many rows.

    Raises:
        BadInput: the file ends before the last row.
    """
    step = max(1, BLOCK_BYTES // max(1, row_bytes * group)) * group
    with path.open("rb") as file:
        file.seek(offset)
        for start in range(0, rows, step):
            count = min(step, rows - start)
            raw = np.fromfile(file, np.uint8, count * row_bytes)
            if raw.size < count * row_bytes:
                raise BadInput(f"{path} became shorter while it was read; fetch it again.")
            yield raw.reshape(count, row_bytes)


def check_finite(folder: Path, progress: Progress = silent) -> None:
    """Read every float tensor of a folder once.

    Raises:
        BadInput: a file is truncated or damaged, or a tensor holds NaN or infinite values.
    """
    places = [place for place in find_tensors(folder).values() if place.dtype in _DTYPES]
    whole = sum(place.bytes for place in places)
    for place in progress("checking the weights", places, whole, size=lambda place: place.bytes):
        for _ in read_rows(place):
            pass


def _read_header(file: Path) -> Iterator[TensorPlace]:
    size = file.stat().st_size
    with file.open("rb") as data:
        length = int.from_bytes(data.read(8), "little")
        if size < 8 or length > min(size - 8, MAX_HEADER_BYTES):
            raise BadInput(f"{file} is truncated or no safetensors file; fetch it again.")
        try:
            header = json.loads(data.read(length))
            entries = [
                (name, entry["dtype"], tuple(entry["shape"]), *entry["data_offsets"])
                for name, entry in header.items()
                if name != "__metadata__"
            ]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BadInput(f"{file} has a damaged safetensors header; fetch it again.") from error
    for name, dtype, shape, begin, end in entries:
        whole = isinstance(dtype, str) and all(isinstance(value, int) and value >= 0 for value in (*shape, begin, end))
        if not whole or end < begin or end > size - 8 - length:
            raise BadInput(f"{file} ends before its tensor {name!r} does; fetch it again.")
        if dtype in _DTYPES and end - begin != math.prod(shape) * _DTYPES[dtype].itemsize:
            raise BadInput(f"{file} states a wrong size for its tensor {name!r}; fetch it again.")
        yield TensorPlace(file, name, dtype, shape, 8 + length + begin, end - begin)
