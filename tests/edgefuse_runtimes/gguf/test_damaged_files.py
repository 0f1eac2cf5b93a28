"""Damaged files are refused with one sentence, or give a vector of numbers; neither takes memory beyond the file's."""

from __future__ import annotations

import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.gguf.reader import read_gguf
from edgefuse_runtimes.gguf.with_numpy import GgufNumpyEncoder

NOTE = np.array([3, 1, 4, 1, 5], np.int32)
ENOUGH_BYTES = 16 << 20
"""For a network of 0.1 MB: the tile of a thread, and all that numpy makes on the way."""

quick = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def whole(tiny_llama, tmp_path):
    """A file with a vocabulary, and where its header ends."""
    words = {"tokenizer.ggml.tokens": [f"word{index}" for index in range(96)], "tokenizer.ggml.token_type": [1] * 96}
    path = tiny_llama(metadata=words).write(tmp_path / "whole.gguf", "Q8_0")
    return path.read_bytes(), min(tensor.offset for tensor in read_gguf(path).tensors.values())


def refused_or_numbers(path, data, spec):
    path.write_bytes(data)
    refusal = f"{path}"
    tracemalloc.start()
    try:
        with GgufNumpyEncoder(path, spec, threads=1, memory="low") as encoder:
            assert np.isfinite(encoder.encode([NOTE])).all()
    except BadInput as error:
        refusal = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert str(path) in refusal
    assert "\n" not in refusal
    assert peak < ENOUGH_BYTES


@quick
@given(data=st.data())
def test_flipped_bits_of_the_header(whole, text_spec, tmp_path, data):
    stored, header = whole
    changed = bytearray(stored)
    for bit in data.draw(st.lists(st.integers(0, 8 * header - 1), min_size=1, max_size=3)):
        changed[bit // 8] ^= 1 << bit % 8
    refused_or_numbers(tmp_path / "flipped.gguf", bytes(changed), text_spec())


@quick
@given(data=st.data())
def test_large_numbers_in_the_header(whole, text_spec, tmp_path, data):
    stored, header = whole
    place = data.draw(st.integers(4, header - 8))
    number = data.draw(st.sampled_from([0, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1))
    changed = stored[:place] + struct.pack("<Q", number) + stored[place + 8 :]
    refused_or_numbers(tmp_path / "large.gguf", changed, text_spec())


@quick
@given(data=st.data())
def test_flipped_bits_of_the_weights(whole, text_spec, tmp_path, data):
    stored, header = whole
    changed = bytearray(stored)
    for bit in data.draw(st.lists(st.integers(8 * header, 8 * len(stored) - 1), min_size=1, max_size=8)):
        changed[bit // 8] ^= 1 << bit % 8
    refused_or_numbers(tmp_path / "flipped.gguf", bytes(changed), text_spec())


@quick
@given(data=st.data())
def test_truncated_files(whole, text_spec, tmp_path, data):
    stored, _ = whole
    path = tmp_path / "cut.gguf"
    path.write_bytes(stored[: data.draw(st.integers(0, len(stored) - 64))])
    with pytest.raises(BadInput, match=r"cut\.gguf"):
        GgufNumpyEncoder(path, text_spec(), threads=1, memory="low")


def test_a_count_of_numbers_that_would_fill_the_file_copies_nothing(tmp_path):
    key, count = b"numbers", 6 << 20
    entry = struct.pack("<Q", len(key)) + key + struct.pack("<IIQ", 9, 5, count)
    path = tmp_path / "large.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + entry + bytes(4 * count))
    tracemalloc.start()
    assert len(read_gguf(path).metadata["numbers"]) == count
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
