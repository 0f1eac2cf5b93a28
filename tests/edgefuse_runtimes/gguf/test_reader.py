from __future__ import annotations

import struct

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.gguf.reader import TENSOR_TYPES, read_gguf

EXTRA = {
    "test.words": ["one", "zwei", "três", "", "四"],
    "test.numbers": [1, -2, 3],
    "test.fractions": [0.5, -1.25],
    "test.flags": [True, False, True],
    "test.flag": True,
    "test.text": "a note\nof two lines",
}


@pytest.fixture(scope="module")
def good_bytes(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "good.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_array("test.words", ["a", "bc"])
    writer.add_array("test.numbers", [1, 2, 3])
    writer.add_float32("test.number", 0.5)
    writer.add_tensor("first", np.arange(12, dtype=np.float32).reshape(3, 4))
    writer.add_tensor("second", np.arange(5, dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1"])
def test_reads_what_the_gguf_package_reads(tiny_llama, tmp_path, kind):
    path = tiny_llama(metadata=EXTRA).write(tmp_path / "tiny.gguf", kind)
    ours, theirs = read_gguf(path), gguf.GGUFReader(path)
    expected = {key: entry.contents() for key, entry in theirs.fields.items() if not key.startswith("GGUF.")}
    assert ours.metadata.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(ours.metadata[key], value)
    assert list(ours.tensors) == [tensor.name for tensor in theirs.tensors]
    for tensor in theirs.tensors:
        mine = ours.tensors[tensor.name]
        assert mine.shape == tuple(tensor.shape[::-1].tolist())
        assert (mine.type, mine.offset, mine.bytes) == (
            tensor.tensor_type.name,
            tensor.data_offset,
            tensor.n_bytes,
        )
        np.testing.assert_array_equal(ours.raw(tensor.name).ravel(), tensor.data.view(np.uint8).ravel())


def test_strings_numbers_and_flags_are_plain_python_values(tiny_llama, tmp_path):
    metadata = read_gguf(tiny_llama(metadata=EXTRA).write(tmp_path / "tiny.gguf")).metadata
    assert metadata["test.words"] == EXTRA["test.words"]
    assert metadata["test.flag"] is True
    assert type(metadata["llama.block_count"]) is int
    assert metadata["test.flags"].tolist() == [True, False, True]


def test_block_sizes_are_those_of_the_gguf_package():
    theirs = {int(kind): (kind.name, *sizes) for kind, sizes in gguf.GGML_QUANT_SIZES.items()}
    assert TENSOR_TYPES.items() <= theirs.items()


def test_pages_that_were_let_go_are_read_again(good_bytes, tmp_path):
    path = tmp_path / "big.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    values = np.arange(50_000, dtype=np.float32)
    writer.add_tensor("big", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    file = read_gguf(path)
    for _ in range(2):
        np.testing.assert_array_equal(file.raw("big").view(np.float32).ravel(), values)
        file.drop_pages("big")


def test_a_missing_or_empty_file_or_a_folder_is_named(tmp_path):
    (tmp_path / "empty.gguf").touch()
    for name, problem in [("absent.gguf", "No such file"), ("empty.gguf", "empty"), ("", "directory")]:
        with pytest.raises(BadInput, match=problem):
            read_gguf(tmp_path / name)


@pytest.mark.parametrize(
    ("place", "replacement", "problem"),
    [
        (0, b"GGML", "does not begin with the letters GGUF"),
        (4, struct.pack("<I", 1), "its version is 1"),
        (4, struct.pack(">I", 3), "big-endian"),
        (8, struct.pack("<Q", 2**60), "more than fit in it"),
        (16, struct.pack("<Q", 2**60), "more than fit in it"),
        (24, struct.pack("<Q", 2**63), "ends inside its metadata"),
    ],
)
def test_a_damaged_header_is_named(good_bytes, tmp_path, place, replacement, problem):
    path = tmp_path / "bad.gguf"
    path.write_bytes(good_bytes[:place] + replacement + good_bytes[place + len(replacement) :])
    with pytest.raises(BadInput, match=problem) as caught:
        read_gguf(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"second", b"first\0", None),
        (b"test.number\x06", b"test.number\x63", "unknown type 99"),
        (struct.pack("<IIQ", 9, 8, 2), struct.pack("<IIQ", 9, 8, 2**50), "strings, more than fit"),
        (struct.pack("<IIQ", 9, 8, 2), struct.pack("<IIQ", 9, 9, 2), "array of the unsupported type 9"),
        (struct.pack("<IQQ", 2, 4, 3), struct.pack("<IQQ", 7, 4, 3), "7 dimensions"),
        (struct.pack("<IQQ", 2, 4, 3), struct.pack("<IQQ", 2, 2**63, 3), "ends inside tensor|is its place"),
        (struct.pack("<IQQ", 2, 4, 3), struct.pack("<IQQ", 2, 4, 0), "cannot have the shape"),
        (struct.pack("<IQI", 1, 5, 1), struct.pack("<IQI", 1, 5, 5), "unknown type 5"),
        (struct.pack("<IQI", 1, 5, 1), struct.pack("<IQI", 1, 5, 8), "of type Q8_0 cannot have the shape"),
        (struct.pack("<IQ", 1, 64), struct.pack("<IQ", 1, 96), "byte 64 is its place"),
    ],
)
def test_a_damaged_entry_is_named(good_bytes, tmp_path, old, new, problem):
    if problem is None:
        old, new, problem = b"\x06" + 7 * b"\0" + b"second", b"\x05" + 7 * b"\0" + b"first", "occurs twice"
    assert good_bytes.count(old) == 1
    path = tmp_path / "bad.gguf"
    path.write_bytes(good_bytes.replace(old, new))
    with pytest.raises(BadInput, match=problem):
        read_gguf(path)


def test_a_key_that_occurs_twice_and_an_odd_alignment_are_named(tmp_path):
    def entry(key, value):
        return struct.pack("<Q", len(key)) + key + struct.pack("<II", 4, value)

    path = tmp_path / "bad.gguf"
    header = b"GGUF" + struct.pack("<IQQ", 3, 0, 2)
    path.write_bytes(header + 2 * entry(b"twice", 1))
    with pytest.raises(BadInput, match="'twice' occurs twice"):
        read_gguf(path)
    path.write_bytes(header + entry(b"general.alignment", 24) + entry(b"other", 0))
    with pytest.raises(BadInput, match="alignment 24"):
        read_gguf(path)


def test_bytes_that_are_no_utf8_are_kept(tmp_path):
    path = tmp_path / "odd.gguf"
    key, value = b"odd", b"a\xffb"
    text = struct.pack("<Q", len(key)) + key + struct.pack("<IQ", 8, len(value)) + value
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text)
    assert read_gguf(path).metadata["odd"].encode("utf-8", "surrogateescape") == value


def usable_or_refused(path, data):
    """Reading either refuses with a sentence or gives tensors that lie inside the file."""
    path.write_bytes(data)
    try:
        file = read_gguf(path)
    except BadInput:
        return
    for name, tensor in file.tensors.items():
        assert tensor.offset + tensor.bytes <= len(data)
        assert file.raw(name).size == tensor.bytes


quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quick
@given(data=st.data())
def test_a_truncated_file_is_refused(good_bytes, tmp_path, data):
    padding = -10 % 32  # behind the last tensor, which has 10 bytes; it is not missed
    path = tmp_path / "cut.gguf"
    path.write_bytes(good_bytes[: data.draw(st.integers(1, len(good_bytes) - padding - 1))])
    with pytest.raises(BadInput):
        read_gguf(path)


@quick
@given(data=st.data())
def test_flipped_bits_are_refused_or_harmless(good_bytes, tmp_path, data):
    flips = data.draw(st.lists(st.integers(0, 8 * len(good_bytes) - 1), min_size=1, max_size=4))
    changed = bytearray(good_bytes)
    for bit in flips:
        changed[bit // 8] ^= 1 << bit % 8
    usable_or_refused(tmp_path / "flipped.gguf", bytes(changed))


@quick
@given(
    rest=st.binary(max_size=200),
    version=st.sampled_from([2, 3]),
    counts=st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_random_bytes_are_refused_or_harmless(tmp_path, rest, version, counts):
    header = b"GGUF" + struct.pack("<IQQ", version, *counts)
    usable_or_refused(tmp_path / "random.gguf", header + rest)


def test_a_file_that_is_open_is_read_once_and_anew_when_it_changes(tiny_llama, tmp_path):
    path = tiny_llama().write(tmp_path / "tiny.gguf")
    first = read_gguf(path)
    assert read_gguf(path) is first
    path.unlink()
    other = read_gguf(tiny_llama(metadata=EXTRA).write(path))
    assert other is not first
    assert "test.flag" in other.metadata
