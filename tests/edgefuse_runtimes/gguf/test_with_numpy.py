from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from edgefuse_runtimes.errors import BadInput, EngineUnavailable
from edgefuse_runtimes.gguf import with_numpy
from edgefuse_runtimes.gguf.with_numpy import GgufNumpyEncoder


def cosine_distance(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return 1 - (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("memory", ["normal", "low"])
def test_vectors_equal_transformers(tiny_llama, text_spec, notes, tmp_path, pooling, memory):
    network = tiny_llama()
    path = network.write(tmp_path / "text.gguf")
    states = [network.hidden_states(note) for note in notes]
    expected = np.stack([state[-1] if pooling == "last" else state.mean(axis=0) for state in states])
    with GgufNumpyEncoder(path, text_spec(pooling=pooling), threads=1, memory=memory) as encoder:
        np.testing.assert_allclose(encoder.encode(notes), expected, atol=1e-4)


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1"])
def test_quantised_weights_are_used_as_they_are_stored(tiny_llama, text_spec, notes, tmp_path, kind):
    gguf = pytest.importorskip("gguf", reason="needs the gguf package")
    network = tiny_llama()
    path = network.write(tmp_path / "text.gguf", kind)
    stored = gguf.GGMLQuantizationType[kind]
    for name, values in network.weights.items():
        if values.ndim == 2:
            network.weights[name] = gguf.quants.dequantize(gguf.quants.quantize(values, stored), stored)
    encoder = GgufNumpyEncoder(path, text_spec(), threads=1, memory="normal")
    expected = np.stack([network.hidden_states(note)[-1] for note in notes])
    np.testing.assert_allclose(encoder.encode(notes), expected, atol=1e-4)


@pytest.mark.parametrize("memory", ["normal", "low"])
def test_a_vector_is_the_same_alone_and_in_any_batch(tiny_llama, text_spec, notes, tmp_path, monkeypatch, memory):
    monkeypatch.setitem(with_numpy.GROUP_TOKENS, memory, 50)
    encoder = GgufNumpyEncoder(tiny_llama().write(tmp_path / "text.gguf"), text_spec(), threads=1, memory=memory)
    together, backwards = encoder.encode(notes), encoder.encode(notes[::-1])[::-1]
    alone = np.concatenate([encoder.encode([note]) for note in notes])
    assert cosine_distance(together, alone).max() <= 1e-6
    assert cosine_distance(together, backwards).max() <= 1e-6


@pytest.mark.parametrize(("limit", "keeps"), [(1 << 30, True), (1 << 10, False)])
def test_layers_are_kept_only_where_they_fit(tiny_llama, text_spec, notes, tmp_path, monkeypatch, limit, keeps):
    path = tiny_llama().write(tmp_path / "text.gguf", "Q8_0")
    expected = GgufNumpyEncoder(path, text_spec(), threads=1, memory="low").encode(notes)
    monkeypatch.setattr(with_numpy, "KEEP_BYTES", limit)
    encoder = GgufNumpyEncoder(path, text_spec(), threads=1, memory="normal")
    assert encoder.info()["keeps_layers"] is keeps
    for _ in range(3):
        assert cosine_distance(encoder.encode(notes), expected).max() <= 1e-6


def test_normalised_vectors_have_length_one(tiny_llama, text_spec, notes, tmp_path):
    path = tiny_llama().write(tmp_path / "text.gguf")
    plain = GgufNumpyEncoder(path, text_spec(), threads=1, memory="normal").encode(notes)
    unit = GgufNumpyEncoder(path, text_spec(normalize=True), threads=1, memory="normal").encode(notes)
    np.testing.assert_allclose(unit, plain / np.linalg.norm(plain, axis=1, keepdims=True), rtol=1e-5)


def test_no_notes_give_no_vectors(tiny_llama, text_spec, tmp_path):
    encoder = GgufNumpyEncoder(tiny_llama().write(tmp_path / "text.gguf"), text_spec(), threads=1, memory="normal")
    assert encoder.encode([]).shape == (0, 64)


def test_a_closed_encoder_says_so(tiny_llama, text_spec, notes, tmp_path):
    path = tiny_llama().write(tmp_path / "text.gguf")
    encoder = GgufNumpyEncoder(path, text_spec(), threads=1, memory="low")
    encoder.close()

    with pytest.raises(EngineUnavailable, match="is closed"):
        encoder.encode(notes)


def test_info_is_json(tiny_llama, text_spec, tmp_path):
    path = tiny_llama().write(tmp_path / "text.gguf")
    info = GgufNumpyEncoder(path, text_spec(), threads=1, memory="low").info()
    assert json.loads(json.dumps(info)) == info
    assert (info["engine"], info["file"], info["threads"], info["memory"]) == ("numpy", str(path), 1, "low")


def test_another_width_than_described_is_refused(tiny_llama, text_spec, tmp_path):
    with pytest.raises(BadInput, match="64 wide, its description says 128"):
        GgufNumpyEncoder(tiny_llama().write(tmp_path / "t.gguf"), text_spec(width=128), threads=1, memory="low")


def test_ids_of_another_vocabulary_are_refused(tiny_llama, text_spec, tmp_path):
    encoder = GgufNumpyEncoder(tiny_llama().write(tmp_path / "text.gguf"), text_spec(), threads=1, memory="normal")
    with pytest.raises(BadInput, match="outside the encoder's 96 words"):
        encoder.encode([np.array([96], np.int32)])


def test_weights_that_are_no_numbers_are_refused(tiny_llama, text_spec, notes, tmp_path):
    network = tiny_llama()
    network.weights["blk.1.ffn_up.weight"][3, 3] = np.inf
    encoder = GgufNumpyEncoder(network.write(tmp_path / "text.gguf"), text_spec(), threads=1, memory="normal")
    with pytest.raises(BadInput, match=r"text.gguf: its weights lead to a vector of no numbers"):
        encoder.encode(notes)


def test_an_untied_output_changes_no_vector(tiny_llama, text_spec, notes, tmp_path):
    output = {"output.weight": np.ones((96, 64), np.float32)}
    tied, untied = (
        GgufNumpyEncoder(network.write(tmp_path / name), text_spec(), threads=1, memory="low").encode(notes)
        for name, network in (("tied.gguf", tiny_llama()), ("untied.gguf", tiny_llama(weights=output)))
    )
    np.testing.assert_array_equal(tied, untied)


@pytest.mark.parametrize("threads", [2, 3])
def test_any_number_of_threads_gives_the_same_vectors(tiny_llama, text_spec, notes, tmp_path, threads):
    path = tiny_llama().write(tmp_path / "text.gguf", "Q8_0")
    expected = GgufNumpyEncoder(path, text_spec(), threads=1, memory="normal").encode(notes)
    with GgufNumpyEncoder(path, text_spec(), threads=threads, memory="normal") as encoder:
        for _ in range(2):
            assert cosine_distance(encoder.encode(notes), expected).max() <= 1e-6


def test_the_blas_has_its_threads_again_after_a_call(tiny_llama, text_spec, notes, tmp_path):
    threadpoolctl = pytest.importorskip("threadpoolctl", reason="needs threadpoolctl as the independent reference")
    path = tiny_llama().write(tmp_path / "text.gguf")
    with GgufNumpyEncoder(path, text_spec(), threads=2, memory="normal") as encoder:
        encoder.encode(notes)
        found = [
            library["num_threads"] for library in threadpoolctl.threadpool_info() if "numpy" in library["filepath"]
        ]
        assert found == [2]


@pytest.mark.parametrize("memory", ["normal", "low"])
def test_memory_does_not_grow_with_the_network(tiny_llama, text_spec, tmp_path, memory):
    """51 million weights: 205 MB in float32, 35 MB of them in half a layer; the engine must do with less than that."""
    network = tiny_llama(layers=4, width=1024, heads=16, kv_heads=16, feed_forward=2816)
    path = network.write(tmp_path / "text.gguf", "Q8_0")
    spec = dataclasses.replace(text_spec(width=1024), file=path.name)
    code = f"""
import threading
import numpy as np
from pathlib import Path
from edgefuse_runtimes.gguf.with_numpy import GgufNumpyEncoder
from edgefuse_runtimes.machine import process_memory
from edgefuse_runtimes.spec import EncoderSpec

before, peak, done = process_memory().anon_bytes, [0], threading.Event()
def look():
    while not done.wait(0.001):
        peak[0] = max(peak[0], process_memory().anon_bytes)
watch = threading.Thread(target=look)
watch.start()
encoder = GgufNumpyEncoder(Path({str(path)!r}), EncoderSpec.from_json({spec.to_json()!r}), threads=2, memory={memory!r})
encoder.encode([np.arange(40, dtype=np.int32)])
done.set()
watch.join()
print(peak[0] - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 24 << 20, done.stdout
