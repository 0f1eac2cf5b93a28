"""The GGUF container, versions 2 and 3, little-endian: metadata and tensors, memory-mapped.

The layout is that of https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, and what llama.cpp refuses is
refused here: every count, length, type and offset is checked against the file before anything of that size is
allocated.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.errors import BadInput

MAGIC = b"GGUF"
MAX_DIMENSIONS = 4
DEFAULT_ALIGNMENT = 32

# Value types of metadata: number -> numpy type; 8 is a string, 9 an array.
SCALARS: dict[int, np.dtype[Any]] = {
    0: np.dtype("<u1"),
    1: np.dtype("<i1"),
    2: np.dtype("<u2"),
    3: np.dtype("<i2"),
    4: np.dtype("<u4"),
    5: np.dtype("<i4"),
    6: np.dtype("<f4"),
    7: np.dtype("?"),
    10: np.dtype("<u8"),
    11: np.dtype("<i8"),
    12: np.dtype("<f8"),
}
BOOL, STRING, ARRAY = 7, 8, 9

# Tensor types: number -> name, values in a block, bytes of a block (ggml.h and ggml-common.h).
TENSOR_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
}

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor lies in its file, and what it holds."""

    name: str
    shape: tuple[int, ...]
    """Outermost dimension first, as in numpy: a matrix is (rows, columns). The file stores the reverse."""
    type: str
    """"F32", "Q8_0", ...: a name of `TENSOR_TYPES`."""
    offset: int
    """Of the first byte, from the beginning of the file."""
    bytes: int


@dataclass(frozen=True)
class GgufFile:
    """An open file: its metadata in memory, its tensors mapped."""

    path: Path
    metadata: dict[str, Any]
    """Numbers, bools, strings as Python values, arrays of strings as lists, of numbers as numpy arrays.

    Strings are UTF-8; bytes that are not come as lone surrogates ("surrogateescape"), so that none is lost.
    """
    tensors: dict[str, TensorInfo]
    mapped: mmap.mmap

    def raw(self, name: str) -> NDArray[np.uint8]:
        """The stored bytes of tensor `name`, (rows, bytes of a row): a view of the mapped file."""
        tensor = self.tensors[name]
        data = np.frombuffer(self.mapped, np.uint8, tensor.bytes, tensor.offset)
        return data.reshape(math.prod(tensor.shape[:-1]), -1)  # (rows, bytes of a row)

    def drop_pages(self, name: str) -> None:
        """Take the pages of tensor `name` out of this process's memory; they are read again when needed."""
        tensor = self.tensors[name]
        start = -(-tensor.offset // mmap.PAGESIZE) * mmap.PAGESIZE  # a page shared with a neighbour stays
        length = (tensor.offset + tensor.bytes - start) // mmap.PAGESIZE * mmap.PAGESIZE
        if length > 0:
            self.mapped.madvise(mmap.MADV_DONTNEED, start, length)

    def forget_pages(self) -> None:
        """Take all pages of the file out of this process's memory; they are read again when needed."""
        self.mapped.madvise(mmap.MADV_DONTNEED)


_OPEN: WeakValueDictionary[tuple[Path | int, ...], GgufFile] = WeakValueDictionary()


def read_gguf(path: Path) -> GgufFile:
    """Map `path` and read its metadata and tensor table.

    A file that somebody holds open, unchanged since, is not read again: an encoder and its tokenizer share it, and a
    vocabulary takes a while to read.

    Raises:
        BadInput: the file is missing, no GGUF file, truncated or damaged; the sentence says where.
    """
    try:
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            key = (path, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
            known = _OPEN.get(key)
            if known is not None:
                return known
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise BadInput(f"{path} is empty; a GGUF file is needed.") from error
    cursor = _Cursor(path, mapped)
    tensor_count, metadata_count = _read_header(cursor)
    metadata = _read_metadata(cursor, metadata_count)
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        cursor.refuse(f"its alignment {alignment!r} is not a power of two")
    tensors = _read_tensor_table(cursor, tensor_count, alignment)
    opened = _OPEN[key] = GgufFile(path, metadata, tensors, mapped)
    return opened


class _Cursor:
    """A place in the mapped file that moves on with every read and never past the end."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self.data = data
        self.size = len(data)
        self.place = 0

    def refuse(self, problem: str) -> NoReturn:
        raise BadInput(f"{self.path} is not a usable GGUF file: {problem}; get the file again.")

    def take(self, length: int, what: str) -> int:
        """Place of the next `length` bytes; the cursor moves behind them."""
        start = self.place
        if length > self.size - start:
            self.refuse(f"it ends inside {what} (byte {self.size})")
        self.place = start + length
        return start

    def u32(self, what: str) -> int:
        return int(_U32.unpack_from(self.data, self.take(4, what))[0])

    def u64(self, what: str) -> int:
        return int(_U64.unpack_from(self.data, self.take(8, what))[0])

    def string(self, what: str) -> str:
        length = self.u64(what)
        start = self.take(length, what)
        return self.data[start : start + length].decode("utf-8", "surrogateescape")

    def name(self, what: str) -> str:
        """A string that messages may show."""
        return self.string(what).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _read_header(cursor: _Cursor) -> tuple[int, int]:
    """Number of tensors, number of metadata entries."""
    start = cursor.take(4, "its first bytes")
    if cursor.data[start : start + 4] != MAGIC:
        cursor.refuse("it does not begin with the letters GGUF")
    version = cursor.u32("its header")
    if version not in (2, 3):
        if version.to_bytes(4, "little")[:2] == b"\0\0":
            cursor.refuse("it is big-endian, which is not supported")
        cursor.refuse(f"its version is {version}, and only 2 and 3 are supported")
    tensor_count, metadata_count = cursor.u64("its header"), cursor.u64("its header")
    left = cursor.size - cursor.place
    # Least bytes of an entry: name (8), type (4), value (1); name (8), dimensions (4), type (4), offset (8).
    if metadata_count * 13 + tensor_count * 24 > left:
        cursor.refuse(f"it announces {tensor_count} tensors and {metadata_count} metadata entries, more than fit in it")
    return tensor_count, metadata_count


def _read_metadata(cursor: _Cursor, count: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for _ in range(count):
        key = cursor.name("its metadata")
        if key in metadata:
            cursor.refuse(f"metadata entry {key!r} occurs twice")
        what = f"metadata entry {key!r}"
        kind = cursor.u32(what)
        metadata[key] = _read_array(cursor, what) if kind == ARRAY else _read_value(cursor, kind, what)
    return metadata


def _read_value(cursor: _Cursor, kind: int, what: str) -> bool | int | float | str:
    if kind == STRING:
        return cursor.string(what)
    if kind not in SCALARS:
        cursor.refuse(f"{what} has the unknown type {kind}")
    dtype = SCALARS[kind]
    place = cursor.take(dtype.itemsize, what)
    if kind == BOOL and cursor.data[place] > 1:
        cursor.refuse(f"{what} is neither true nor false")
    value: bool | int | float = np.frombuffer(cursor.data, dtype, 1, place)[0].item()
    return value


def _read_array(cursor: _Cursor, what: str) -> list[str] | NDArray[Any]:
    kind, count = cursor.u32(what), cursor.u64(what)
    if kind == STRING:
        if count * 8 > cursor.size - cursor.place:
            cursor.refuse(f"{what} announces {count} strings, more than fit in it")
        return [cursor.string(what) for _ in range(count)]
    if kind not in SCALARS:
        cursor.refuse(f"{what} is an array of the unsupported type {kind}")
    dtype = SCALARS[kind]
    place = cursor.take(count * dtype.itemsize, what)
    if kind == BOOL:
        dtype = np.dtype(np.bool)
    # A view of the file: with a damaged count, a copy could be as large as the weights.
    values: NDArray[Any] = np.frombuffer(cursor.data, dtype, count, place)  # (count,)
    return values


def _read_tensor_table(cursor: _Cursor, count: int, alignment: int) -> dict[str, TensorInfo]:
    found: list[tuple[str, tuple[int, ...], str, int, int]] = []
    for _ in range(count):
        name = cursor.name("its tensor table")
        what = f"the entry of tensor {name!r}"
        dimensions = cursor.u32(what)
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            cursor.refuse(f"tensor {name!r} has {dimensions} dimensions")
        shape = tuple(cursor.u64(what) for _ in range(dimensions))[::-1]
        kind, offset = cursor.u32(what), cursor.u64(what)
        if kind not in TENSOR_TYPES:
            cursor.refuse(f"tensor {name!r} has the unknown type {kind}")
        type_name, block_values, block_bytes = TENSOR_TYPES[kind]
        if math.prod(shape) == 0 or shape[-1] % block_values:
            cursor.refuse(f"tensor {name!r} of type {type_name} cannot have the shape {shape}")
        found.append((name, shape, type_name, offset, math.prod(shape) // block_values * block_bytes))
    return _place_tensors(cursor, found, alignment)


def _place_tensors(
    cursor: _Cursor, found: list[tuple[str, tuple[int, ...], str, int, int]], alignment: int
) -> dict[str, TensorInfo]:
    """Tensors follow one another without holes but for the alignment, in the order of the table."""
    begin = -(-cursor.place // alignment) * alignment
    expected = 0
    tensors: dict[str, TensorInfo] = {}
    for name, shape, type_name, offset, size in found:
        if name in tensors:
            cursor.refuse(f"tensor {name!r} occurs twice")
        if offset != expected:
            cursor.refuse(f"tensor {name!r} is said to be at byte {offset}, but byte {expected} is its place")
        if begin + offset + size > cursor.size:
            cursor.refuse(f"it ends inside tensor {name!r} (byte {cursor.size})")
        tensors[name] = TensorInfo(name, shape, type_name, begin + offset, size)
        expected = -(-(offset + size) // alignment) * alignment
    return tensors
