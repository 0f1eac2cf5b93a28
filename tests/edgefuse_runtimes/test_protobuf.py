"""The wire format, against messages that the protobuf package wrote and against noise."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse_runtimes.protobuf import (
    Malformed,
    chunk,
    fields,
    integers,
    numbers,
    signed,
    text,
    unsigned,
)

INT64 = st.integers(-(2**63), 2**63 - 1)


def of(message: bytes, number: int) -> list[int | memoryview]:
    return [value for found, value in fields(memoryview(message)) if found == number]


@given(INT64)
def test_numbers_are_read_as_protobuf_wrote_them(value: int) -> None:
    message = onnx.ModelProto(model_version=value).SerializeToString()

    assert [signed(field) for field in of(message, 5)] == [value]


@given(st.text())
def test_strings_are_read_as_protobuf_wrote_them(value: str) -> None:
    message = onnx.ModelProto(producer_name=value).SerializeToString()

    assert [text(field) for field in of(message, 2)] == [value]


@given(st.lists(INT64))
def test_repeated_integers_are_read_packed_and_one_by_one(values: list[int]) -> None:
    one_by_one = onnx.AttributeProto(ints=values).SerializeToString()
    packed = onnx.TensorProto(int64_data=values).SerializeToString()

    assert [number for field in of(one_by_one, 8) for number in integers(field)] == values
    assert [number for field in of(packed, 7) for number in integers(field)] == values


def test_packed_floats_are_a_view_of_the_message() -> None:
    message = onnx.TensorProto(float_data=[1.5, -2.0]).SerializeToString()
    [field] = of(message, 4)

    values = numbers(field, np.dtype("<f4"))

    np.testing.assert_array_equal(values, [1.5, -2.0])
    assert np.shares_memory(values, np.frombuffer(message, np.uint8))


@given(st.binary())
def test_noise_is_read_or_refused(noise: bytes) -> None:
    try:
        found = list(fields(memoryview(noise)))
    except Malformed:
        return
    held = sum(len(value) for _, value in found if isinstance(value, memoryview))
    assert held <= len(noise)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\x00\x00", "number 0"),
        (b"\x0b", "wire type 3"),
        (b"\x08", "ends in the middle of a number"),
        (b"\x08" + b"\xff" * 10, "too long"),
        (b"\x08" + b"\xff" * 9 + b"\x7f", "too long"),
        (b"\x0a\x05abc", "ends in the middle of a field"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "ends in the middle of a field"),
        (b"\x09\x00\x00", "ends in the middle of a field"),
    ],
)
def test_a_broken_field_is_refused(message: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        list(fields(memoryview(message)))


def test_a_value_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(Malformed, match="a number was expected"):
        unsigned(memoryview(b"ab"))
    with pytest.raises(Malformed, match="bytes were expected"):
        chunk(3)
    with pytest.raises(Malformed, match="not UTF-8"):
        text(memoryview(b"\xff"))
    with pytest.raises(Malformed, match="in the middle of one"):
        numbers(memoryview(b"abc"), np.dtype("<f4"))
