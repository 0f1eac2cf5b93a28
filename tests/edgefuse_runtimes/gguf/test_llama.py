from __future__ import annotations

import numpy as np
import pytest

from edgefuse_runtimes.gguf import llama, weights
from edgefuse_runtimes.gguf.dequantize import read_rows, read_tensor
from edgefuse_runtimes.gguf.reader import read_gguf
from edgefuse_runtimes.team import Team


@pytest.fixture
def run(tmp_path):
    """Hidden states (t, d) of notes laid end to end, computed from a file."""

    def run(network, notes, **choices):
        file = read_gguf(network.write(tmp_path / "tiny.gguf"))
        sizes = weights.read_sizes(file)
        blocks = weights.read_blocks(file, sizes, Team(1))
        lengths = [len(note) for note in notes]
        factors = read_tensor(file, weights.ROPE_FACTORS) if weights.ROPE_FACTORS in file.tensors else None
        return llama.hidden_states(
            np.ascontiguousarray(read_rows(file, weights.EMBEDDING, np.concatenate(notes)).T),
            lengths,
            blocks,
            read_tensor(file, weights.FINAL_NORM),
            llama.rope_rotations(lengths, sizes, factors),
            sizes,
            **choices,
        ).T

    return run


def test_hidden_states_equal_transformers(tiny_llama, notes, run):
    network = tiny_llama()
    hidden = np.split(run(network, notes), np.cumsum([len(note) for note in notes])[:-1])
    for mine, note in zip(hidden, notes, strict=True):
        np.testing.assert_allclose(mine, network.hidden_states(note), atol=1e-4)


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 1), (2, 2)])
def test_every_sharing_of_keys_equals_transformers(tiny_llama, notes, run, heads, kv_heads):
    network = tiny_llama(heads=heads, kv_heads=kv_heads)
    np.testing.assert_allclose(run(network, notes[2:3]), network.hidden_states(notes[2]), atol=1e-4)


def test_linear_rope_scaling_equals_transformers(tiny_llama, notes, run):
    scaled = {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0}
    network = tiny_llama(metadata=scaled)
    expected = network.hidden_states(notes[4], {"rope_type": "linear", "factor": 4.0})
    np.testing.assert_allclose(run(network, notes[4:5]), expected, atol=1e-4)
    assert np.abs(run(tiny_llama(), notes[4:5]) - expected).max() > 0.01


def test_the_scaling_type_none_switches_a_factor_off(tiny_llama, notes, run):
    off = tiny_llama(metadata={"llama.rope.scaling.type": "none", "llama.rope.scaling.factor": 4.0})
    np.testing.assert_array_equal(run(off, notes[2:3]), run(tiny_llama(), notes[2:3]))


def test_rope_factors_equal_the_llama3_scaling_of_transformers(tiny_llama, notes, run):
    scaling = {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }  # fmt: skip
    base = 10000.0 ** -(np.arange(0, 16, 2) / 16)  # (w/2,)
    # convert_hf_to_gguf.py: long waves are stretched by `factor`, short ones stay, those between are blended
    wavelength = 2 * np.pi / base
    smooth = (64 / wavelength - 1.0) / (4.0 - 1.0)
    factors = np.where(wavelength < 16, 1.0, np.where(wavelength > 64, 8.0, 1 / ((1 - smooth) / 8.0 + smooth)))
    network = tiny_llama(weights={"rope_freqs.weight": factors.astype(np.float32)})
    np.testing.assert_allclose(run(network, notes[4:5]), network.hidden_states(notes[4], scaling), atol=1e-4)
    assert np.abs(run(tiny_llama(), notes[4:5]) - run(network, notes[4:5])).max() > 0.01


def test_a_later_token_changes_no_earlier_state_and_no_other_note(tiny_llama, notes, run):
    changed = [notes[0], notes[2].copy()]
    changed[1][-1] = (changed[1][-1] + 1) % 96
    before, after = run(tiny_llama(), [notes[0], notes[2]]), run(tiny_llama(), changed)
    np.testing.assert_array_equal(before[:-1], after[:-1])
    assert np.abs(before[-1] - after[-1]).max() > 0.01


def test_the_last_tokens_alone_are_those_of_all(tiny_llama, notes, run):
    ends = np.cumsum([len(note) for note in notes]) - 1
    alone, among = run(tiny_llama(), notes, last_only=True), run(tiny_llama(), notes)[ends]
    np.testing.assert_allclose(alone, among, atol=1e-5)


def test_a_long_note_looks_back_in_pieces_as_it_would_at_once(tiny_llama, notes, run, monkeypatch):
    in_pieces = run(tiny_llama(), notes)
    monkeypatch.setattr(llama, "QUERIES", 1000)
    np.testing.assert_allclose(in_pieces, run(tiny_llama(), notes), atol=1e-5)


def test_gates_far_below_zero_give_zero():
    x = np.array([[-1.0]], np.float32)
    block = llama.FeedForwardWeights(
        np.ones(1, np.float32), np.array([[200.0], [1.0]], np.float32).dot, np.ones((1, 1), np.float32).dot
    )
    assert llama.feed_forward(x, block) == 0
