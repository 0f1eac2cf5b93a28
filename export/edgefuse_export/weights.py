"""Safetensors read tensor by tensor, without torch: the format is a JSON header and plain bytes.

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


def read_tensor(place: TensorPlace) -> NDArray[Any]:
    """The tensor itself, float16 or float32 (bfloat16 is widened, float64 narrowed), every value finite.

    Raises:
        BadInput: its type is not supported, or it holds NaN or infinite values.
    """
    if place.dtype not in _DTYPES:
        raise BadInput(
            f"{place.file} holds the tensor {place.name!r} as {place.dtype}; "
            "only F32, F16 and BF16 weights can be used."
        )
    with place.file.open("rb") as file:
        file.seek(place.offset)
        values = np.fromfile(file, _DTYPES[place.dtype], math.prod(place.shape)).reshape(place.shape)
    if place.dtype == "BF16":
        values = (values.astype(np.uint32) << 16).view(np.float32)  # bfloat16 is the upper half of a float32
    if place.dtype == "F64":
        values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise BadInput(
            f"{place.file} has values that are not finite in {place.name!r}; the encoder is damaged, fetch it again."
        )
    return values


def check_finite(folder: Path, progress: Progress = silent) -> None:
    """Read every float tensor of a folder once.

    Raises:
        BadInput: a file is truncated or damaged, or a tensor holds NaN or infinite values.
    """
    places = [place for place in find_tensors(folder).values() if place.dtype in _DTYPES]
    for place in progress("checking the weights", places, len(places)):
        read_tensor(place)


def _read_header(file: Path) -> Iterator[TensorPlace]:
    size = file.stat().st_size
    with file.open("rb") as data:
        length = int.from_bytes(data.read(8), "little")
        if size < 8 or length > size - 8:
            raise BadInput(f"{file} is truncated or no safetensors file; fetch it again.")
        try:
            header = json.loads(data.read(length))
            entries = [
                (name, entry["dtype"], tuple(entry["shape"]), *entry["data_offsets"])
                for name, entry in header.items()
                if name != "__metadata__"
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"{file} has a damaged safetensors header; fetch it again.") from error
    for name, dtype, shape, begin, end in entries:
        whole = all(isinstance(value, int) and value >= 0 for value in (*shape, begin, end))
        if not whole or end < begin or end > size - 8 - length:
            raise BadInput(f"{file} ends before its tensor {name!r} does; fetch it again.")
        if dtype in _DTYPES and end - begin != math.prod(shape) * _DTYPES[dtype].itemsize:
            raise BadInput(f"{file} states a wrong size for its tensor {name!r}; fetch it again.")
        yield TensorPlace(file, name, dtype, shape, 8 + length + begin)
