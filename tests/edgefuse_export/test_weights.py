"""Safetensors, read some rows at a time without torch."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgefuse_export.weights import BLOCK_BYTES, TensorPlace, check_finite, find_tensors, read_rows
from edgefuse_runtimes.errors import BadInput

safetensors_numpy = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed (extra export)")


def write(folder: Path, tensors: dict[str, np.ndarray]) -> Path:
    safetensors_numpy.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder / "model.safetensors"


def read_tensor(place: TensorPlace) -> np.ndarray:
    return np.concatenate(list(read_rows(place))).reshape(place.shape)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_tensors_come_back_as_they_were_saved(tmp_path: Path, dtype: type) -> None:
    rng = np.random.default_rng(0)
    tensors = {"a.weight": rng.normal(size=(3, 5)).astype(dtype), "b": rng.normal(size=7).astype(dtype)}
    write(tmp_path, tensors)
    places = find_tensors(tmp_path)
    assert places.keys() == tensors.keys()
    for name, values in tensors.items():
        read = read_tensor(places[name])
        assert read.dtype == dtype
        np.testing.assert_array_equal(read, values)


def test_bfloat16_is_widened_without_change(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed (extra export-torch)")
    save = pytest.importorskip("safetensors.torch", reason="safetensors is not installed").save_file
    values = torch.randn(4, 6).to(torch.bfloat16)
    save({"w": values}, tmp_path / "model.safetensors")
    np.testing.assert_array_equal(read_tensor(find_tensors(tmp_path)["w"]), values.float().numpy())


def test_float64_is_narrowed(tmp_path: Path) -> None:
    write(tmp_path, {"w": np.array([0.1, 2.0])})
    assert read_tensor(find_tensors(tmp_path)["w"]).tolist() == np.array([0.1, 2.0], np.float32).tolist()


def test_a_large_tensor_comes_in_blocks_of_whole_groups(tmp_path: Path) -> None:
    values = np.arange(BLOCK_BYTES * 5 // 8, dtype=np.float32).reshape(-1, 1024)  # two blocks and a half
    write(tmp_path, {"w": values})
    blocks = list(read_rows(find_tensors(tmp_path)["w"], 48))
    assert len(blocks) == 3
    assert all(block.nbytes <= BLOCK_BYTES for block in blocks)
    assert [len(block) % 48 for block in blocks[:-1]] == [0, 0]
    np.testing.assert_array_equal(np.concatenate(blocks), values)


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, {"w": np.ones((8, 8), np.float32)})
    place = find_tensors(tmp_path)["w"]
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(BadInput, match="became shorter while it was read"):
        list(read_rows(place))


def test_integers_are_refused_when_read_and_ignored_when_checked(tmp_path: Path) -> None:
    write(tmp_path, {"w": np.arange(3), "f": np.ones(2, np.float32)})
    check_finite(tmp_path)
    with pytest.raises(BadInput, match="'w' as I64; only F32, F16 and BF16"):
        read_tensor(find_tensors(tmp_path)["w"])


@pytest.mark.parametrize(
    "header", [b"[" * 5000, b'{"w": {"dtype": [], "shape": [1], "data_offsets": [0, 4]}}', b'{"w": 3}']
)
def test_a_header_that_is_none_is_refused(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(BadInput, match="fetch it again"):
        find_tensors(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    write(tmp_path, {"good": np.ones(3, np.float32), "bad": np.array([1.0, value], np.float16)})
    with pytest.raises(BadInput, match="not finite in 'bad'"):
        check_finite(tmp_path)


def test_truncated_file_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, {"w": np.ones((8, 8), np.float32)})
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(BadInput, match="ends before its tensor 'w' does"):
        find_tensors(tmp_path)
    file.write_bytes(whole[:20])
    with pytest.raises(BadInput, match="is truncated or no safetensors file"):
        find_tensors(tmp_path)


def test_a_shape_that_does_not_fit_its_bytes_is_refused(tmp_path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(BadInput, match="states a wrong size for its tensor 'w'"):
        find_tensors(tmp_path)


def test_a_tensor_in_two_shards_is_refused(tmp_path: Path) -> None:
    for name in ("a.safetensors", "b.safetensors"):
        write(tmp_path, {"w": np.ones(2, np.float32)}).rename(tmp_path / name)
    index = {"weight_map": {"w": "a.safetensors", "v": "b.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BadInput, match="holds the tensor 'w' twice"):
        find_tensors(tmp_path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 200), byte=st.integers(0, 255), length=st.integers(0, 200))
def test_damage_never_ends_in_a_traceback(tmp_path: Path, place: int, byte: int, length: int) -> None:
    file = write(tmp_path, {"w": np.ones((3, 4), np.float32), "v": np.ones(2, np.float16)})
    damaged = bytearray(file.read_bytes())
    damaged[place % len(damaged)] = byte
    file.write_bytes(damaged[: len(damaged) - length // 4])
    with contextlib.suppress(BadInput):
        check_finite(tmp_path)
