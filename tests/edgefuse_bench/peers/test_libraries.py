"""The libraries themselves, on tiny sources: each gives the vectors that torch gives."""

from __future__ import annotations

from importlib import util
from pathlib import Path

import numpy as np
import pytest

from edgefuse_bench.peers.catalogue import graph_peers, torch_peers
from edgefuse_bench.peers.comparison import rows
from edgefuse_bench.peers.figures import distances
from edgefuse_bench.peers.graph import write_graph
from edgefuse_bench.peers.peer import Order, Sample, batch_of
from edgefuse_bench.peers.running import run_peers
from edgefuse_bench.peers.samples import write_calibration
from edgefuse_bench.peers.with_onnxruntime import OnnxRuntimePeer
from edgefuse_bench.peers.with_torch import TorchEncoder
from edgefuse_runtimes.spec import EncoderSpec, Preprocess, Tokenization, TokenizerFile

SIDE, WIDTH = 28, 48

torch = pytest.importorskip("torch", reason="torch is not installed (extra export-torch)")
transformers = pytest.importorskip("transformers", reason="transformers is not installed (extra export-torch)")


def save(model: object, folder: Path) -> Path:
    """The model with weights that are far from nothing, as a Hugging Face folder."""
    torch.manual_seed(0)
    for name, weight in model.named_parameters():
        if "norm" not in name.lower():
            torch.nn.init.normal_(weight, std=0.15)
    model.eval().save_pretrained(folder, safe_serialization=True)
    return folder


def order_of(spec: EncoderSpec, source: Path, work: Path, calibration: list[Sample]) -> Order:
    samples = work / "calibration" / "samples.npz"
    write_calibration(samples, calibration)
    graph = work / "fp32" / "model.onnx"
    return Order(spec=spec, source=source, graph=graph, target=graph, calibration=samples)


def spec_of(**settings: object) -> EncoderSpec:
    return EncoderSpec(
        format="onnx", file="main.onnx", sha256="", bytes=0, precision="int8", width=WIDTH, normalize=False, **settings
    )


def test_all_libraries_agree_on_pictures(tmp_path: Path) -> None:
    config = transformers.Dinov2Config(
        hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=3, mlp_ratio=2, image_size=98, patch_size=14
    )
    source = save(transformers.Dinov2Model(config), tmp_path / "dinov2")
    preprocess = Preprocess("squash", SIDE, "bicubic", SIDE, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
    spec = spec_of(modality="image", pooling="cls", preprocess=preprocess)
    rng = np.random.default_rng(0)
    samples = [Sample(rng.normal(size=(3, SIDE, SIDE)).astype(np.float32)) for _ in range(12)]
    order = order_of(spec, source, tmp_path / "work", samples[:4])
    peers = [*graph_peers(order, tmp_path / "work"), *torch_peers(order)]

    compared = rows(run_peers(peers, order, [samples[4:8], samples[8:]], threads=1))

    installed = {peer.name for peer in peers if all(map(util.find_spec, peer.needs))}
    found = {row["name"]: row for row in compared["peers"]}
    assert {name for name, row in found.items() if "failed" not in row} == installed
    assert installed >= {"onnxruntime, fp32", "onnxruntime, dynamic int8", "torch, fp32"}
    assert compared["reference"] == "torch, fp32"
    for name in installed:
        distance = found[name]["closeness"]["mean"]
        assert distance < 1e-6 if found[name]["precision"] == "fp32" else 1e-8 < distance < 0.1, name
    assert found["onnxruntime, dynamic int8"]["file_bytes"] < found["onnxruntime, fp32"]["file_bytes"]


def traced_distance(spec: EncoderSpec, source: Path, work: Path, samples: list[Sample]) -> float:
    """How far vectors of the graph that torch traces are from torch's own, in this process."""
    order = order_of(spec, source, work, samples)
    order.graph.parent.mkdir()
    write_graph(order)
    settings = {"threads": 1, "memory": "normal"}
    with TorchEncoder(source, spec, **settings) as exact, OnnxRuntimePeer(order.graph, spec, **settings) as traced:
        a, b = (np.concatenate([one.encode(batch_of(each.values)) for each in samples]) for one in (traced, exact))
    return float(distances(a, b).mean())


def test_a_projected_note_is_traced_with_its_end_token(tmp_path: Path) -> None:
    config = transformers.CLIPTextConfig(
        vocab_size=60, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=3, intermediate_size=96,
        max_position_embeddings=40, projection_dim=WIDTH, bos_token_id=58, eos_token_id=59,
    )  # fmt: skip
    source = save(transformers.CLIPTextModelWithProjection(config), tmp_path / "clip")
    tokenization = Tokenization(40, add_bos=True, newline_to_space=False, add_eos=True)
    spec = spec_of(
        modality="text", pooling="none", tokenization=tokenization, tokenizer=TokenizerFile("tokenizer.json", "", 0)
    )
    rng = np.random.default_rng(0)
    samples = [Sample(np.array([58, *rng.integers(0, 58, length), 59], np.int32)) for length in (1, 3, 17, 38)]

    assert traced_distance(spec, source, tmp_path / "work", samples) < 1e-9


def test_positions_that_onnx_cannot_fit_are_fixed(tmp_path: Path) -> None:
    config = transformers.Dinov2WithRegistersConfig(
        hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=3, mlp_ratio=2, image_size=98, patch_size=14
    )
    source = save(transformers.Dinov2WithRegistersModel(config), tmp_path / "registers")
    preprocess = Preprocess("squash", SIDE, "bicubic", SIDE, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
    spec = spec_of(modality="image", pooling="cls", preprocess=preprocess)
    rng = np.random.default_rng(0)
    samples = [Sample(rng.normal(size=(3, SIDE, SIDE)).astype(np.float32)) for _ in range(4)]

    assert traced_distance(spec, source, tmp_path / "work", samples) < 1e-9


def test_a_traced_note_may_have_any_length(tmp_path: Path) -> None:
    config = transformers.BertConfig(
        vocab_size=60, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=3, intermediate_size=96,
        max_position_embeddings=40,
    )  # fmt: skip
    source = save(transformers.BertModel(config), tmp_path / "bert")
    spec = spec_of(
        modality="text",
        pooling="mean",
        tokenization=Tokenization(40, add_bos=True, newline_to_space=False, add_eos=True),
        tokenizer=TokenizerFile("tokenizer.json", "", 0),
    )
    rng = np.random.default_rng(0)
    samples = [Sample(rng.integers(0, 60, length).astype(np.int32)) for length in (1, 3, 17, 40)]

    assert traced_distance(spec, source, tmp_path / "work", samples) < 1e-9


def test_torch_gives_what_transformers_gives(tmp_path: Path) -> None:
    config = transformers.LlamaConfig(
        vocab_size=60, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=96,
    )  # fmt: skip
    source = save(transformers.LlamaForCausalLM(config), tmp_path / "llama")
    tokenization = Tokenization(40, add_bos=False, newline_to_space=True)
    spec = spec_of(
        modality="text", pooling="last", tokenization=tokenization, tokenizer=TokenizerFile("tokenizer.json", "", 0)
    )
    ids = np.arange(9, dtype=np.int32)

    with TorchEncoder(source, spec, threads=1, memory="normal") as encoder:
        (vector,) = encoder.encode([ids])

    model = transformers.LlamaForCausalLM.from_pretrained(source).eval()
    with torch.no_grad():
        states = model(input_ids=torch.tensor(ids[None].astype(np.int64)), output_hidden_states=True).hidden_states[-1]
    assert vector == pytest.approx(states[0, -1].numpy(), abs=1e-5)
