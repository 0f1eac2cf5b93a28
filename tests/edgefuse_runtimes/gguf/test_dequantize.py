from __future__ import annotations

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.gguf.dequantize import CHUNK_VALUES, dequantize, read_rows, read_tensor
from edgefuse_runtimes.gguf.reader import TENSOR_TYPES, read_gguf

KINDS = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"]


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(KINDS), rows=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
def test_any_stored_bytes_become_what_the_gguf_package_makes_of_them(kind, rows, seed):
    _, _, block_bytes = next(entry for entry in TENSOR_TYPES.values() if entry[0] == kind)
    raw = np.random.default_rng(seed).integers(0, 256, (rows, 3 * block_bytes), dtype=np.uint8)
    with np.errstate(all="ignore"):  # random scales may be infinite
        expected = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType[kind])
        values = dequantize(raw, kind)
    np.testing.assert_array_equal(values, expected.reshape(rows, -1))


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0"])
def test_more_values_than_one_chunk(kind):
    values = np.random.default_rng(0).normal(size=(3, CHUNK_VALUES // 64 * 32)).astype(np.float32)
    stored = gguf.quants.quantize(values, gguf.GGMLQuantizationType[kind])
    out = np.full_like(values, np.nan)
    assert dequantize(stored, kind, out) is out
    np.testing.assert_array_equal(out, gguf.quants.dequantize(stored, gguf.GGMLQuantizationType[kind]))


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0", "Q4_1"])
def test_some_rows_are_those_rows_of_the_whole(tiny_llama, tmp_path, kind):
    file = read_gguf(tiny_llama().write(tmp_path / "tiny.gguf", kind))
    whole = read_tensor(file, "token_embd.weight")
    rows = np.array([95, 0, 7, 7], np.int32)
    assert whole.shape == (96, 64)
    np.testing.assert_array_equal(read_rows(file, "token_embd.weight", rows), whole[rows])


def test_a_type_that_numpy_cannot_run_is_named(tiny_llama, tmp_path):
    file = read_gguf(tiny_llama().write(tmp_path / "tiny.gguf", "MXFP4"))
    with pytest.raises(BadInput, match=r"tensor 'token_embd.weight' has type MXFP4"):
        read_tensor(file, "token_embd.weight")
