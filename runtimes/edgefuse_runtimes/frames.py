"""What a worker and its parent say to each other: magic, length of a header, header in JSON, bytes of arrays.

Nothing is pickled, and a frame says how long it is before anything of that size is read.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MAGIC = b"EFW1"
PREFIX = struct.Struct("<4sI")
"""Magic and length of the header."""
MAX_HEADER_BYTES = 1 << 20
MAX_ARRAY_BYTES = 1 << 28
DTYPES = ("float32", "int32")
ITEM_BYTES = 4


def write_frame(header: dict[str, Any], arrays: Sequence[Array]) -> bytes:
    """One frame of a header (plain JSON types) and arrays of `DTYPES`."""
    described = [{"dtype": array.dtype.name, "shape": list(array.shape)} for array in arrays]
    text = json.dumps({**header, "arrays": described}).encode()
    return b"".join([PREFIX.pack(MAGIC, len(text)), text, *(array.tobytes() for array in arrays)])


def frame_bytes(data: bytes | bytearray) -> int:
    """Length of the frame that `data` begins with, as far as `data` tells: prefix, header, or all of it.

    Raises:
        ValueError: `data` begins with something else.
    """
    if len(data) < PREFIX.size:
        return PREFIX.size
    magic, length = PREFIX.unpack_from(data)
    if magic != MAGIC or length > MAX_HEADER_BYTES:
        raise ValueError("not a frame")
    body = PREFIX.size + int(length)
    if len(data) < body:
        return body
    return body + sum(size for _, _, size in _described(_header(data)))


def parse_frame(data: bytes | bytearray) -> tuple[dict[str, Any], list[Array]]:
    """Header and arrays of a whole frame.

    Raises:
        ValueError: it is none.
    """
    header = _header(data)
    place = PREFIX.size + int(PREFIX.unpack_from(data)[1])
    arrays = []
    for dtype, shape, size in _described(header):
        arrays.append(np.frombuffer(data[place : place + size], dtype).reshape(shape))
        place += size
    return header, arrays


def read_frame(pipe: BinaryIO) -> tuple[dict[str, Any], list[Array]] | None:
    """The next frame of a blocking pipe; None when the pipe has ended."""
    data = b""
    while (missing := frame_bytes(data) - len(data)) > 0:
        piece = pipe.read(missing)
        if not piece:
            return None
        data += piece
    return parse_frame(data)


def _header(data: bytes | bytearray) -> dict[str, Any]:
    length = int(PREFIX.unpack_from(data)[1])
    header = json.loads(data[PREFIX.size : PREFIX.size + length])
    if not isinstance(header, dict) or not isinstance(header.get("arrays"), list):
        raise ValueError("not a header")
    return header


def _described(header: dict[str, Any]) -> list[tuple[str, list[int], int]]:
    """dtype, shape and bytes of each array that a header announces."""
    described = []
    for item in header["arrays"]:
        match item:
            case {"dtype": str(dtype), "shape": list(shape)} if dtype in DTYPES and all(map(_is_length, shape)):
                size = math.prod(shape) * ITEM_BYTES
            case _:
                raise ValueError("not an array")
        if size > MAX_ARRAY_BYTES:
            raise ValueError("too large an array")
        described.append((dtype, shape, size))
    return described


def _is_length(value: object) -> bool:
    return type(value) is int and value >= 0
