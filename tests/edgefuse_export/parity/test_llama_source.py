"""A LLaMA's own weights run layer by layer, compared with transformers and with the engine of the same file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse_export.parity import llama_source
from edgefuse_runtimes.gguf.with_numpy import GgufNumpyEncoder
from edgefuse_runtimes.pooling import l2_normalize
from edgefuse_runtimes.spec import EncoderSpec, Pooling, Tokenization
from tests.edgefuse_export.conftest import draw_once

pytest.importorskip("gguf", reason="gguf is not installed (extra export)")


def spec_of(width: int, pooling: Pooling = "last", *, normalize: bool = False) -> EncoderSpec:
    return EncoderSpec(
        modality="text", format="gguf", file="text.gguf", sha256="", bytes=0, precision="q8_0", width=width,
        pooling=pooling, normalize=normalize, tokenization=Tokenization(512, add_bos=False, newline_to_space=True),
    )  # fmt: skip


def some_notes(vocabulary: int, lengths: list[int]) -> list[np.ndarray]:
    dice = np.random.default_rng(0)
    return [dice.integers(0, vocabulary, length).astype(np.int32) for length in lengths]


def by_transformers(folder: Path, notes: list[np.ndarray], pooling: Pooling = "last") -> np.ndarray:
    torch = pytest.importorskip("torch", reason="torch is not installed (extra export-torch)")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed (export-torch)")
    model = transformers.LlamaModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        hidden = [model(torch.tensor(ids[None].astype(np.int64))).last_hidden_state[0].numpy() for ids in notes]
    return np.stack([states[-1] if pooling == "last" else states.mean(axis=0) for states in hidden])  # (n, d)


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_a_folder_gives_the_vectors_of_transformers(llama_folder: Path, pooling: Pooling) -> None:
    notes = some_notes(300, [5, 1, 90, 5, 17])  # the longest pass the layers in groups of their own
    vectors = llama_source.llama_vectors(llama_folder, spec_of(64, pooling), notes)
    np.testing.assert_allclose(vectors, by_transformers(llama_folder, notes, pooling), atol=1e-5)
    unit = llama_source.llama_vectors(llama_folder, spec_of(64, pooling, normalize=True), notes)
    np.testing.assert_allclose(unit, l2_normalize(vectors), atol=1e-6)


def test_a_gguf_file_gives_the_vectors_of_its_engine(tiny_text_gguf: Path) -> None:
    spec, notes = spec_of(64), some_notes(256, [3, 200, 40, 40, 250])
    with GgufNumpyEncoder(tiny_text_gguf, spec, threads=1, memory="normal") as engine:
        expected = engine.encode(notes)
    np.testing.assert_allclose(llama_source.llama_vectors(tiny_text_gguf, spec, notes), expected, rtol=1e-5, atol=1e-5)


def test_every_weight_is_read_once_however_many_notes_there_are(
    llama_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, read = llama_source.open_network(llama_folder), Counter[str]()

    def counting(name: str) -> Any:
        read[name] += 1
        return network.read(name)

    monkeypatch.setattr(llama_source, "open_network", lambda source: replace(network, read=counting))
    monkeypatch.setattr(llama_source, "GROUP_TOKENS", 20)
    llama_source.llama_vectors(llama_folder, spec_of(64), some_notes(300, [10] * 30))
    assert set(read.values()) == {1}
    assert len(read) == 2 * 9 + 2  # nine tensors in each of two layers, the embedding and the last norm


@pytest.mark.shared
def test_real_weights_give_the_vectors_of_transformers(shared_checkpoint: Callable[[str], Path]) -> None:
    pytest.importorskip("torch", reason="torch is not installed (extra export-torch)")
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed (extra dev)")
    folder = shared_checkpoint("smollm2")
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    notes = [np.array(tokenizer.encode(draw_once(seed).note).ids, np.int32) for seed in range(6)]
    vectors = llama_source.llama_vectors(folder, spec_of(576), notes)
    expected = by_transformers(folder, notes)
    assert np.abs(vectors - expected).max() / np.abs(expected).max() < 1e-5
