from __future__ import annotations

import numpy as np
import pytest

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.gguf import llama, weights
from edgefuse_runtimes.gguf.reader import read_gguf


def test_sizes_come_from_the_metadata(tiny_llama, tmp_path):
    sizes = weights.read_sizes(read_gguf(tiny_llama().write(tmp_path / "tiny.gguf")))
    assert sizes == llama.Hyperparameters(
        layers=2, width=64, feed_forward=96, heads=4, kv_heads=2, head_width=16, vocabulary=96,
        epsilon=pytest.approx(1e-5), rope_base=10000.0, rope_scale=1.0,
    )  # fmt: skip


def test_an_untied_output_is_not_needed(tiny_llama, tmp_path):
    network = tiny_llama(weights={"output.weight": np.zeros((96, 64), np.float32)})
    assert weights.read_sizes(read_gguf(network.write(tmp_path / "tiny.gguf"))).vocabulary == 96


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        ({"general.architecture": "qwen2"}, "architecture is 'qwen2'"),
        ({"llama.expert_count": 8}, "'llama.expert_count' is 8"),
        ({"llama.attention.causal": False}, "'llama.attention.causal' is False"),
        ({"llama.rope.scaling.type": "yarn"}, "'llama.rope.scaling.type' is 'yarn'"),
        ({"split.count": 2}, "'split.count' is 2"),
        ({"llama.block_count": None}, "'llama.block_count' is None"),
        ({"llama.block_count": 0}, "'llama.block_count' is 0"),
        ({"llama.block_count": 3}, "tensor 'blk.2.attn_norm.weight' is missing"),
        ({"llama.block_count": 1}, "with a tensor 'blk.1."),
        ({"llama.attention.head_count_kv": [2, 2]}, "'llama.attention.head_count_kv' is"),
        ({"llama.attention.head_count_kv": 3}, "4 heads 16 wide cannot share 3"),
        (
            {"llama.attention.key_length": 8},
            r"'blk.0.attn_q.weight' has the shape \(64, 64\), not \(32, 64\)",
        ),
        (
            {"llama.feed_forward_length": 128},
            r"'blk.0.ffn_gate.weight' has the shape \(96, 64\), not \(128, 64\)",
        ),
        ({"llama.attention.layer_norm_rms_epsilon": None}, "layer_norm_rms_epsilon' is None"),
        ({"llama.rope.freq_base": float("nan")}, "freq_base' is nan"),
        ({"llama.rope.freq_base": 0.0}, "freq_base' is 0"),
    ],
)
def test_what_cannot_be_run_is_named(tiny_llama, tmp_path, metadata, problem):
    file = read_gguf(tiny_llama(metadata=metadata).write(tmp_path / "tiny.gguf"))
    with pytest.raises(BadInput, match=problem) as caught:
        weights.read_sizes(file)
    assert "tiny.gguf" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "values", "problem"),
    [
        ("token_embd.weight", None, "'token_embd.weight' is missing"),
        ("output_norm.weight", None, "'output_norm.weight' is missing"),
        ("blk.1.ffn_up.weight", None, "'blk.1.ffn_up.weight' is missing"),
        ("blk.0.attn_q.bias", np.zeros(64, np.float32), "with a tensor 'blk.0.attn_q.bias'"),
        (
            "rope_freqs.weight",
            np.ones(16, np.float32),
            r"'rope_freqs.weight' has the shape \(16,\), not \(8,\)",
        ),
    ],
)
def test_missing_superfluous_and_wrong_tensors_are_named(tiny_llama, tmp_path, name, values, problem):
    file = read_gguf(tiny_llama(weights={name: values}).write(tmp_path / "tiny.gguf"))
    with pytest.raises(BadInput, match=problem):
        weights.read_sizes(file)
