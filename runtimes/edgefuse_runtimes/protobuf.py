"""The protobuf wire format, as much of it as ONNX files and SentencePiece models need; every length is checked.

A message is a run of fields, each a tag (field number and wire type) and a value:
https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Field = int | memoryview
"""A varint as an unsigned number, or the bytes of a fixed-size or length-delimited value."""

VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5
MAX_VARINT_BYTES = 10


class Malformed(ValueError):
    """The bytes are not the message they should be; the text says why, as a part of a sentence."""


def fields(message: memoryview) -> Iterator[tuple[int, Field]]:
    """Field number and value of each field of a message, in the order of the file.

    Raises:
        Malformed: a field is cut off or of an unknown wire type.
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire_type = tag >> 3, tag & 7
        if number == 0:
            raise Malformed("it has a field with the number 0")
        if wire_type == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire_type == LENGTH_DELIMITED:
            size, at = _varint(message, at)
        elif wire_type in (FIXED64, FIXED32):
            size = 8 if wire_type == FIXED64 else 4
        else:
            raise Malformed(f"it has a field of the unknown wire type {wire_type}")
        if size > len(message) - at:
            raise Malformed("it ends in the middle of a field")
        yield number, message[at : at + size]
        at += size


def unsigned(field: Field) -> int:
    """A single uint64."""
    if not isinstance(field, int):
        raise Malformed("a number was expected where it has bytes")
    return field


def signed(field: Field) -> int:
    """A single int64 or int32: both are stored as the two's complement in 64 bits."""
    value = unsigned(field)
    return value - (1 << 64) if value >> 63 else value


def chunk(field: Field) -> memoryview:
    """The bytes of a string, of raw data or of an inner message."""
    if isinstance(field, int):
        raise Malformed("bytes were expected where it has a number")
    return field


def text(field: Field) -> str:
    """A string, in UTF-8."""
    try:
        return str(chunk(field), "utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("a name in it is not UTF-8") from error


def integers(field: Field) -> list[int]:
    """One element of a repeated int64 or int32, or all of them where they are packed."""
    if isinstance(field, int):
        return [signed(field)]
    values, at = [], 0
    while at < len(field):
        value, at = _varint(field, at)
        values.append(signed(value))
    return values


def numbers(field: Field, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """One element of a repeated float or double, or all of them where they are packed, as a view (n,)."""
    data = chunk(field)
    if len(data) % dtype.itemsize:
        raise Malformed("a list of numbers in it ends in the middle of one")
    return np.frombuffer(data, dtype)  # (n,)


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for i, byte in enumerate(data[at : at + MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            if value >> 64:
                break
            return value, at + i + 1
    raise Malformed("it ends in the middle of a number or has one that is too long")
