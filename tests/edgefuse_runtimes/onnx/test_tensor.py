"""Constants, against onnx.numpy_helper, and data in files where they must not be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgefuse_runtimes.onnx.tensor import DTYPES, forget_pages, parse_tensor
from edgefuse_runtimes.protobuf import Malformed


def parsed(tensor: onnx.TensorProto, path: Path | None = None) -> np.ndarray:
    name, array = parse_tensor(memoryview(tensor.SerializeToString()), path)
    assert name == tensor.name
    return array


@pytest.mark.parametrize("code", sorted(DTYPES))
@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3, 4)])
def test_every_type_is_read_as_onnx_reads_it(code: int, raw: bool, shape: tuple[int, ...]) -> None:
    dtype = onnx.helper.tensor_dtype_to_np_dtype(code)
    low = 0 if dtype.kind in "bu" else -3
    array = np.random.default_rng(code).integers(low, 9, shape).astype(dtype)
    values = array.tobytes() if raw else array.ravel()
    tensor = onnx.helper.make_tensor("constant", code, shape, values, raw=raw)

    result = parsed(tensor)

    assert result.dtype == dtype
    np.testing.assert_array_equal(result, onnx.numpy_helper.to_array(tensor))


def test_raw_data_are_a_view() -> None:
    message = onnx.numpy_helper.from_array(np.arange(1000.0), "constant").SerializeToString()

    _, array = parse_tensor(memoryview(message), None)

    assert np.shares_memory(array, np.frombuffer(message, np.uint8))


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (onnx.TensorProto(data_type=1, dims=[1 << 40, 1 << 40], raw_data=b"abcd"), "1 values for a shape"),
        (onnx.TensorProto(data_type=1, dims=[-1], raw_data=b"abcd"), "1 values for a shape"),
        (onnx.TensorProto(data_type=1, dims=[1] * 100, raw_data=b"abcd"), "1 values for a shape"),
        (onnx.TensorProto(data_type=1, dims=[1], raw_data=b"abcde"), "end in the middle of a number"),
        (onnx.TensorProto(data_type=7, dims=[2], int64_data=[1]), "1 values for a shape"),
        (onnx.TensorProto(data_type=7, dims=[1], float_data=[1]), "0 values for a shape"),
        (onnx.TensorProto(data_type=2, dims=[1], int32_data=[256]), "too large for its type"),
        (onnx.TensorProto(data_type=8, dims=[1], string_data=[b"a"]), "data type 8"),
        (onnx.TensorProto(data_type=99, dims=[1]), "data type 99"),
    ],
)
def test_a_constant_that_does_not_fit_together_is_refused(tensor: onnx.TensorProto, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        parsed(tensor)


def external(**entries: str) -> onnx.TensorProto:
    tensor = onnx.TensorProto(name="constant", data_type=1, dims=[2], data_location=1)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def test_data_in_another_file_of_the_folder_are_mapped(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(np.array([1, 2, 3, 4], np.float32).tobytes())

    array = parsed(external(location="weights", offset="4", length="8"), tmp_path / "model.onnx")

    np.testing.assert_array_equal(array, [2, 3])


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"location": "../weights"}, "outside its folder"),
        ({"location": "/etc/passwd"}, "outside its folder"),
        ({"location": "link"}, "outside its folder"),
        ({"location": ""}, "outside its folder"),
        ({"location": "absent"}, "cannot be read"),
        ({"location": "loop"}, "cannot be read|outside"),
        ({"location": "a\0b"}, "misplaced"),
        ({"location": "inside", "offset": "0", "length": "12"}, "beyond the end"),
        ({"location": "inside", "offset": "-4", "length": "8"}, "beyond the end"),
        ({"location": "inside", "offset": "8", "length": "-4"}, "beyond the end"),
        ({"location": "inside", "offset": "x"}, "misplaced"),
        ({"location": "empty"}, "empty"),
    ],
)
def test_data_that_lie_elsewhere_are_refused(tmp_path: Path, entries: dict[str, str], reason: str) -> None:
    folder = tmp_path / "kit"
    folder.mkdir()
    for file in (tmp_path / "weights", folder / "inside"):
        file.write_bytes(bytes(8))
    (folder / "empty").touch()
    (folder / "link").symlink_to(tmp_path / "weights")
    (folder / "loop").symlink_to(folder / "loop")

    with pytest.raises(Malformed, match=reason):
        parsed(external(**entries), folder / "model.onnx")


def test_an_attribute_may_not_keep_its_data_in_another_file() -> None:
    with pytest.raises(Malformed, match="outside its folder"):
        parsed(external(location="weights"), None)


def test_pages_can_be_given_back_and_are_read_again(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(np.array([1, 2, 3, 4], np.float32).tobytes())
    array = parsed(external(location="weights", offset="4", length="8"), tmp_path / "model.onnx")

    forget_pages(array[::-1].reshape(2, 1))

    np.testing.assert_array_equal(array, [2, 3])


def test_an_array_in_no_file_has_no_pages_to_give_back() -> None:
    array = np.arange(5)

    forget_pages(array[1:])

    np.testing.assert_array_equal(array, [0, 1, 2, 3, 4])
