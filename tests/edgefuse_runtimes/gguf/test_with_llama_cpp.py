from __future__ import annotations

import json

import numpy as np
import pytest

from edgefuse_runtimes.errors import BadInput, EngineUnavailable
from edgefuse_runtimes.gguf import with_llama_cpp
from edgefuse_runtimes.gguf.with_llama_cpp import LlamaCppEncoder
from edgefuse_runtimes.gguf.with_numpy import GgufNumpyEncoder
from edgefuse_runtimes.machine import process_memory


@pytest.fixture
def llama_cpp():
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python (the `llama` extra)")


def centred_cosines(a, b):
    a, b = a - b.mean(axis=0), b - b.mean(axis=0)
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.usefixtures("llama_cpp")
@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("memory", ["normal", "low"])
def test_vectors_equal_numpy(tiny_llama, text_spec, notes, tmp_path, pooling, memory):
    path = tiny_llama().write(tmp_path / "text.gguf")
    spec = text_spec(pooling=pooling)
    expected = GgufNumpyEncoder(path, spec, threads=1, memory="normal").encode(notes)
    with LlamaCppEncoder(path, spec, threads=1, memory=memory) as encoder:
        vectors = encoder.encode(notes)
    assert centred_cosines(vectors, expected).min() >= 0.9999
    np.testing.assert_allclose(vectors, expected, atol=0.05)


@pytest.mark.usefixtures("llama_cpp")
@pytest.mark.parametrize(("kind", "least"), [("F16", 0.9999), ("Q8_0", 0.995), ("Q4_0", 0.995)])
def test_llama_cpp_rounds_activations_to_8_bits_where_weights_have_no_more(
    tiny_llama, text_spec, notes, tmp_path, kind, least
):
    path = tiny_llama().write(tmp_path / "text.gguf", kind)
    expected = GgufNumpyEncoder(path, text_spec(), threads=1, memory="normal").encode(notes)
    with LlamaCppEncoder(path, text_spec(), threads=1, memory="normal") as encoder:
        assert centred_cosines(encoder.encode(notes), expected).mean() >= least


@pytest.mark.usefixtures("llama_cpp")
@pytest.mark.parametrize(
    ("metadata", "factors"),
    [
        ({"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0}, None),
        ({"llama.rope.scaling.type": "none", "llama.rope.scaling.factor": 4.0}, None),
        ({"llama.rope.scaling.factor": 4.0}, None),
        ({"llama.rope.freq_base": 500000.0}, np.linspace(1, 8, 8)),
    ],
)
def test_stretched_contexts_equal_numpy(tiny_llama, text_spec, notes, tmp_path, metadata, factors):
    extra = {} if factors is None else {"rope_freqs.weight": factors.astype(np.float32)}
    path = tiny_llama(metadata=metadata, weights=extra).write(tmp_path / "text.gguf")
    expected = GgufNumpyEncoder(path, text_spec(), threads=1, memory="normal").encode(notes)
    with LlamaCppEncoder(path, text_spec(), threads=1, memory="normal") as encoder:
        assert centred_cosines(encoder.encode(notes), expected).min() >= 0.9999


@pytest.mark.usefixtures("llama_cpp")
def test_a_vector_is_the_same_alone_and_after_longer_notes(tiny_llama, text_spec, notes, tmp_path):
    path = tiny_llama().write(tmp_path / "text.gguf")
    with LlamaCppEncoder(path, text_spec(normalize=True), threads=1, memory="normal") as encoder:
        together, alone = encoder.encode(notes), np.concatenate([encoder.encode([note]) for note in notes])
        assert 1 - (together * alone).sum(axis=1).min() <= 1e-6
        np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
        with LlamaCppEncoder(path, text_spec(normalize=True), threads=1, memory="normal") as fresh:
            assert 1 - (together[:1] * fresh.encode(notes[:1])).sum() <= 1e-6


@pytest.mark.usefixtures("llama_cpp")
def test_info_is_json_and_tells_the_process(tiny_llama, text_spec, tmp_path):
    path = tiny_llama().write(tmp_path / "text.gguf")
    with LlamaCppEncoder(path, text_spec(), threads=1, memory="low") as encoder:
        info = encoder.info()
        assert process_memory(info["pid"]).anon_bytes > 0
    assert json.loads(json.dumps(info)) == info
    assert (info["engine"], info["threads"], info["memory"]) == ("llama.cpp", 1, "low")


@pytest.mark.usefixtures("llama_cpp")
def test_bad_ids_widths_and_poolings_are_refused_and_the_engine_lives_on(tiny_llama, text_spec, notes, tmp_path):
    path = tiny_llama().write(tmp_path / "text.gguf")
    with pytest.raises(BadInput, match="64 wide, not 128"):
        LlamaCppEncoder(path, text_spec(width=128), threads=1, memory="normal")
    with pytest.raises(BadInput, match="pooling 'cls'"):
        LlamaCppEncoder(path, text_spec(pooling="cls"), threads=1, memory="normal")
    with LlamaCppEncoder(path, text_spec(), threads=1, memory="normal") as encoder:
        with pytest.raises(BadInput, match="outside the encoder's 96 words"):
            encoder.encode([np.array([96], np.int32)])
        assert encoder.encode(notes[:1]).shape == (1, 64)


@pytest.mark.usefixtures("llama_cpp")
def test_a_truncated_file_is_refused(tiny_llama, text_spec, tmp_path):
    path = tiny_llama().write(tmp_path / "text.gguf")
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(BadInput, match=r"llama\.cpp cannot load .*text\.gguf"):
        LlamaCppEncoder(path, text_spec(), threads=1, memory="normal")


@pytest.mark.usefixtures("llama_cpp")
def test_a_vocabulary_that_makes_llama_cpp_abort_kills_only_the_child(tiny_llama, text_spec, tmp_path):
    twice = ["word"] * 96
    network = tiny_llama(
        metadata={
            "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.tokens": twice,
            "tokenizer.ggml.scores": [0.0] * 96,
        }
    )
    with pytest.raises(EngineUnavailable, match="SIGABRT"):
        LlamaCppEncoder(network.write(tmp_path / "text.gguf"), text_spec(), threads=1, memory="normal")


def test_without_llama_cpp_python_the_engine_is_unavailable(tiny_llama, text_spec, tmp_path, monkeypatch):
    monkeypatch.setattr(with_llama_cpp.util, "find_spec", lambda name: None)
    with pytest.raises(EngineUnavailable, match="llama-cpp-python is not installed"):
        LlamaCppEncoder(tiny_llama().write(tmp_path / "text.gguf"), text_spec(), threads=1, memory="normal")
