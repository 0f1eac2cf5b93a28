"""Constants of an ONNX file as numpy arrays, views of the mapped bytes where possible."""

from __future__ import annotations

import math
import mmap
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.protobuf import Malformed, chunk, fields, integers, numbers, text, unsigned

Array = NDArray[Any]

DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    2: np.dtype("u1"),
    3: np.dtype("i1"),
    4: np.dtype("<u2"),
    5: np.dtype("<i2"),
    6: np.dtype("<i4"),
    7: np.dtype("<i8"),
    9: np.dtype("?"),
    10: np.dtype("<f2"),
    11: np.dtype("<f8"),
    12: np.dtype("<u4"),
    13: np.dtype("<u8"),
}
"""TensorProto.DataType -> numpy; strings, bfloat16, float8 and the 4-bit types are not read."""

MAX_DIMENSIONS = 32
"""As many as every version of numpy has."""

EMPTY = memoryview(b"")


def dtype_of(code: int, name: str) -> np.dtype[Any]:
    """The numpy type of a TensorProto.DataType; `name` is whose it is, for the message.

    Raises:
        Malformed: the type is not read.
    """
    if code not in DTYPES:
        raise Malformed(f"its value {name!r} has the data type {code}, which is not read")
    return DTYPES[code]


def parse_tensor(
    message: memoryview, path: Path | None, data_files: Collection[str] | None = None
) -> tuple[str, Array]:
    """Name and array of a TensorProto, read-only and maybe not aligned.

    The data may lie in another file of the folder of the model `path`, one of `data_files` where these are given;
    without `path` they may not.

    Raises:
        Malformed: sizes and data do not fit together, the type is not read, or the data lie elsewhere.
    """
    name, code, is_external = "", 0, False
    shape: list[int] = []
    raw: memoryview | None = None
    typed: dict[int, list[Any]] = {4: [], 5: [], 7: [], 10: [], 11: []}
    external: dict[str, str] = {}
    for number, field in fields(message):
        if number == 1:
            shape += integers(field)
        elif number == 2:
            code = unsigned(field)
        elif number == 4 or number == 10:
            typed[number].append(numbers(field, DTYPES[1 if number == 4 else 11]))  # (n,)
        elif number in typed:
            typed[number] += integers(field)
        elif number == 8:
            name = text(field)
        elif number == 9:
            raw = chunk(field)
        elif number == 13:
            entry = dict(fields(chunk(field)))
            external[text(entry.get(1, EMPTY))] = text(entry.get(2, EMPTY))
        elif number == 14:
            is_external = unsigned(field) == 1
    dtype = dtype_of(code, name)
    if is_external:
        raw = _external_data(external, name, path, data_files)
    if raw is not None:
        if len(raw) % dtype.itemsize:
            raise Malformed(f"the data of its constant {name!r} end in the middle of a number")
        return name, _shaped(np.frombuffer(raw, dtype), shape, name)
    return name, _shaped(_typed_values(typed, dtype, name), shape, name)


def forget_pages(array: Array) -> None:
    """Let the system take back the memory of the mapped file that an array lies in, if it does.

    The array and its neighbours stay valid, and are read from the file again.
    """
    holder: Any = array
    while holder is not None:
        if isinstance(holder, mmap.mmap):
            holder.madvise(mmap.MADV_DONTNEED)
        holder = holder.obj if isinstance(holder, memoryview) else getattr(holder, "base", None)


def _shaped(values: Array, shape: list[int], name: str) -> Array:
    try:
        if len(shape) > MAX_DIMENSIONS or min(shape, default=0) < 0 or math.prod(shape) != len(values):
            raise ValueError
        return values.reshape(shape)
    except ValueError as error:
        raise Malformed(f"its constant {name!r} has {len(values)} values for a shape of {shape}") from error


def _typed_values(typed: Mapping[int, list[Any]], dtype: np.dtype[Any], name: str) -> Array:
    """Values (n,) from the field that TensorProto keeps for this type."""
    if dtype == np.float32 or dtype == np.float64:
        pieces = typed[4 if dtype == np.float32 else 10]
        return np.concatenate(pieces) if pieces else np.empty(0, dtype)  # (n,)
    try:
        if dtype == np.uint32 or dtype == np.uint64:
            return np.array([value % (1 << 64) for value in typed[11]], dtype)  # (n,)
        if dtype == np.float16:
            return np.array(typed[5], np.uint16).view(np.float16)  # (n,)
        return np.array(typed[7 if dtype == np.int64 else 5], dtype)  # (n,)
    except OverflowError as error:
        raise Malformed(f"its constant {name!r} has a number that is too large for its type") from error


def _external_data(
    entries: Mapping[str, str], name: str, path: Path | None, data_files: Collection[str] | None
) -> memoryview:
    """Bytes of a constant that lie in another file of the model's own folder, mapped."""
    location = entries.get("location", "")
    whose = f"the data of its constant {name!r} in {location!r}"
    plain = PurePosixPath(location)
    if path is None or not location or plain.is_absolute() or ".." in plain.parts or "\\" in location:
        raise Malformed(f"{whose} lie outside its folder")
    if data_files is not None and location not in data_files:
        raise Malformed(f"{whose} lie in a file that the encoder's description does not name")
    try:
        file = (path.parent / plain).resolve(strict=True)
        is_inside = file.is_relative_to(path.parent.resolve())
        offset, length = int(entries.get("offset", "0")), int(entries.get("length", "-1"))
        data = _map(file) if is_inside else EMPTY
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symbolic links
        raise Malformed(f"{whose} cannot be read ({error})") from error
    except ValueError as error:  # nothing to map in an empty file, no number, no path
        raise Malformed(f"{whose} are empty or misplaced") from error
    if not is_inside:
        raise Malformed(f"{whose} lie outside its folder")
    end = len(data) if length == -1 else offset + length
    if not 0 <= offset <= end <= len(data):
        raise Malformed(f"{whose} go beyond the end of that file")
    return data[offset:end]


def _map(file: Path) -> memoryview:
    with file.open("rb") as opened:
        return memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
