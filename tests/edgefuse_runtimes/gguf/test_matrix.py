from __future__ import annotations

import numpy as np
import pytest

from edgefuse_runtimes.gguf import matrix
from edgefuse_runtimes.gguf.dequantize import read_tensor
from edgefuse_runtimes.gguf.matrix import Matrix
from edgefuse_runtimes.gguf.reader import read_gguf
from edgefuse_runtimes.team import Team

NAMES = [f"blk.0.attn_{part}.weight" for part in "qkv"]


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q8_0", "Q4_0"])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("tile_values", [1, 700, 1 << 19])
def test_tensors_below_one_another_are_multiplied_as_one(tiny_llama, tmp_path, monkeypatch, kind, threads, tile_values):
    monkeypatch.setattr(matrix, "TILE_VALUES", tile_values)
    file = read_gguf(tiny_llama().write(tmp_path / "tiny.gguf", kind))
    stacked = np.concatenate([read_tensor(file, name) for name in NAMES])  # (128, 64)
    x = np.random.default_rng(1).normal(size=(64, 5)).astype(np.float32)
    product = Matrix(file, NAMES, Team(threads))
    assert (product.rows, product.columns) == stacked.shape
    np.testing.assert_allclose(product(x), stacked @ x, atol=1e-5)
    product.drop_pages()
    np.testing.assert_allclose(product(x), stacked @ x, atol=1e-5)


def test_a_kept_matrix_gives_the_same_product_without_the_file(tiny_llama, tmp_path, monkeypatch):
    file = read_gguf(tiny_llama().write(tmp_path / "tiny.gguf", "Q8_0"))
    x = np.random.default_rng(1).normal(size=(64, 5)).astype(np.float32)
    product = Matrix(file, NAMES, Team(2))
    before = product(x)
    product.keep()
    monkeypatch.setattr(matrix, "dequantize", None)  # it would be called if anything were read again
    product.keep()
    np.testing.assert_allclose(product(x), before, atol=1e-6)
