"""Q4_K_M by llama.cpp's own quantiser: the file runs on both engines, and a quantiser that fails leaves nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgefuse import Classifier
from edgefuse.datasets import open_dataset
from edgefuse.datasets.drawn import write_example
from edgefuse.evaluation.record import evaluate_folder
from edgefuse.extraction.running import Settings, extract
from edgefuse.heads import write_head
from edgefuse.kits.encoders import Encoders
from edgefuse.kits.golden import probe_sample
from edgefuse.kits.packing import pack
from edgefuse.training import recipe, trainer
from edgefuse_export import llama, quantize_gguf, room
from edgefuse_export.commands.export import command
from edgefuse_export.llama import export_text_encoder
from edgefuse_runtimes.encoder import ENGINES
from edgefuse_runtimes.errors import BadInput, DoesNotFit
from edgefuse_runtimes.gguf.reader import read_gguf
from edgefuse_runtimes.gguf.with_numpy import GgufNumpyEncoder
from edgefuse_runtimes.probe import probe
from edgefuse_runtimes.tokenizers import open_tokenizer

pytest.importorskip("gguf", reason="gguf is not installed (extra export)")


@pytest.fixture
def llama_cpp() -> None:
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python (the `llama` extra)")


@pytest.fixture(scope="module")
def wide_folder(llama_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaMA of 256 wide rows, which the blocks of 256 values need."""
    torch = pytest.importorskip("torch", reason="torch is not installed (extra export-torch)")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed (export-torch)")
    folder = tmp_path_factory.mktemp("wide") / "wide-llama"
    torch.manual_seed(5)
    config = transformers.LlamaConfig(
        vocab_size=350, hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, initializer_range=0.1, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder, safe_serialization=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(llama_folder / name, folder)
    return folder


def types(file: Path) -> set[str]:
    return {tensor.type for tensor in read_gguf(file).tensors.values() if len(tensor.shape) == 2}


def centred_cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a - b.mean(0), b - b.mean(0)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.usefixtures("llama_cpp")
def test_both_engines_run_the_file(
    wide_folder: Path,
    tmp_path: Path,
    sentences: list[str],
    llama_cpp_vectors: Callable[[Path, list[list[int]]], np.ndarray],
) -> None:
    spec = export_text_encoder(wide_folder, tmp_path, quantize="q4_k_m")
    assert [path.name for path in tmp_path.iterdir()] == ["text.gguf"]
    assert spec.precision == "q4_k_m"
    assert spec.recipe["steps"][-1] == "matrices to Q4_K_M by llama.cpp's quantiser, norms to F32"
    assert spec.recipe["tools"].keys() == {"edgefuse", "numpy", "gguf", "llama-cpp-python"}
    assert types(tmp_path / "text.gguf") == {"Q4_K", "Q6_K"}
    tokenizer = open_tokenizer(tmp_path / "text.gguf")
    notes = [tokenizer.encode(text) for text in sentences]
    with GgufNumpyEncoder(tmp_path / "text.gguf", spec, threads=1, memory="normal") as encoder:
        vectors = encoder.encode([np.array(note, np.int32) for note in notes])
    native = llama_cpp_vectors(tmp_path / "text.gguf", notes)
    assert centred_cosines(native, vectors).min() > 0.99
    (tmp_path / "q8_0").mkdir()
    larger = export_text_encoder(wide_folder, tmp_path / "q8_0")
    assert spec.bytes < 0.8 * larger.bytes
    with GgufNumpyEncoder(tmp_path / "q8_0" / "text.gguf", larger, threads=1, memory="normal") as encoder:
        finer = encoder.encode([np.array(note, np.int32) for note in notes])
    assert 0.7 < centred_cosines(vectors, finer).mean() < 0.9999  # random weights lose more than trained ones


@pytest.mark.usefixtures("llama_cpp")
def test_the_command_makes_a_folder_that_answers_on_both_engines(
    tiny_image_onnx: Path, tiny_text_gguf: Path, tmp_path: Path
) -> None:
    arguments = ["--image-encoder", tiny_image_onnx, "--text-encoder", tiny_text_gguf, "--output", tmp_path / "E"]
    outcome = CliRunner().invoke(command, [*map(str, arguments), "--quantize", "q4_k_m"])
    assert outcome.exit_code == 0, outcome.output
    assert "text encoder q4_k_m" in outcome.stdout
    spec = Encoders.open(tmp_path / "E").text
    # Rows of 64 values have no room for blocks of 256: llama.cpp takes its older types for them.
    assert types(tmp_path / "E" / spec.file) <= {"Q5_0", "Q5_1", "Q8_0"}
    engine = {engine.name: engine for engine in ENGINES["gguf"]}["llama.cpp"]
    sample = probe_sample((tmp_path / "E").joinpath, spec)
    verdict = probe(engine, tmp_path / "E" / spec.file, spec, sample, threads=1, memory="normal")
    assert verdict.trusted, verdict.reason

    kit = packed(tmp_path / "E", tmp_path)
    answers = {}
    for name in ("numpy", "llama.cpp"):
        with Classifier.open(kit, engine=name) as classifier:
            answers[name] = classifier.predict(kit / "golden" / "1.png", "Age: 45 years. Sex: male.")
        assert answers[name].engines["text"] == name
    a, b = (list(answer.probabilities.values()) for answer in answers.values())
    assert np.abs(np.array(a) - np.array(b)).max() < 0.1


def packed(encoders: Path, folder: Path) -> Path:
    """A kit of these encoders with a head for a few drawn samples."""
    write_example(folder / "drawn", count=60)
    opened = Encoders.open(encoders)
    table = extract(
        open_dataset("drawn", folder / "drawn"), opened, folder / "table", settings=Settings(engine="numpy")
    ).table
    head = recipe.train_head(table, fusion="early", settings=trainer.Settings(epochs=3))
    write_head(folder / "head", head)
    evaluation = evaluate_folder(folder / "head")
    pack(opened, folder / "head", evaluation, folder / "q4.kit", name="q4", version="1")
    return folder / "q4.kit"


@pytest.mark.usefixtures("llama_cpp")
def test_a_file_that_the_quantiser_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGUF\x03\0\0\0" + bytes(16))
    with pytest.raises(BadInput, match=r"quantiser failed \(.*\); export the text encoder without --quantize q4_k_m"):
        quantize_gguf.quantize_gguf(tmp_path / "a.gguf", tmp_path / "b.gguf", "q4_k_m")


@pytest.mark.usefixtures("llama_cpp")
def test_a_quantiser_that_dies_leaves_nothing(
    tiny_text_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\nkill -ABRT $$\n")
    dying.chmod(0o755)
    monkeypatch.setattr(quantize_gguf.sys, "executable", str(dying))
    (tmp_path / "out").mkdir()
    with pytest.raises(BadInput, match=r"quantiser failed \(signal 6\)"):
        export_text_encoder(tiny_text_gguf, tmp_path / "out", quantize="q4_k_m")
    assert list((tmp_path / "out").iterdir()) == []


def test_without_llama_cpp_the_extra_is_named(
    tiny_text_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantize_gguf, "find_spec", lambda _: None)
    with pytest.raises(BadInput, match=r"'llama_cpp', which is not installed; run: pip install 'edgefuse\[llama\]'"):
        export_text_encoder(tiny_text_gguf, tmp_path, quantize="q4_k_m")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("quantize", ["q8_0", "q4_k_m"])
def test_a_disk_without_room_is_told_before_the_work(
    tiny_text_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quantize: llama.Precision
) -> None:
    if quantize == "q4_k_m":
        pytest.importorskip("llama_cpp", reason="needs llama-cpp-python (the `llama` extra)")
    usage = shutil.disk_usage(tmp_path)._replace(free=50_000)
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(llama, "write_gguf", None)
    with pytest.raises(
        DoesNotFit, match=r"The text encoder needs \d+ kB of disk .*, and 50 kB are left in .*; make room or choose"
    ):
        export_text_encoder(tiny_text_gguf, tmp_path, quantize=quantize)
    assert list(tmp_path.iterdir()) == []


def test_memory_stays_small_whatever_the_size_of_a_matrix(load_script: Callable, tmp_path: Path) -> None:
    """300 MB of float32 in two matrices; Python with numpy and gguf alone takes about 70 MB."""
    gguf = pytest.importorskip("gguf")
    source = tmp_path / "large.gguf"
    width, rows = 1024, 36_000
    writer = gguf.GGUFWriter(source, "llama")
    for key, value in {
        "context_length": 64, "embedding_length": width, "block_count": 1, "feed_forward_length": 64,
        "head_count": 8, "vocab_size": rows,
    }.items():  # fmt: skip
        getattr(writer, f"add_{key}")(value)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([f"t{number}" for number in range(rows)])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    block = np.random.default_rng(0).normal(size=(rows, width)).astype(np.float32)
    shapes = {"token_embd": (rows, width), "output_norm": (width,), "output": (rows, width)}
    square, up = (width, width), (64, width)
    parts = {"attn_q": square, "attn_k": square, "attn_v": square, "attn_output": square, "ffn_gate": up, "ffn_up": up}
    parts |= {"ffn_down": (width, 64), "attn_norm": (width,), "ffn_norm": (width,)}
    for name, shape in (shapes | {f"blk.0.{part}": shape for part, shape in parts.items()}).items():
        writer.add_tensor(f"{name}.weight", block.reshape(-1)[: int(np.prod(shape))].reshape(shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    run = load_script("bench/compare_llama_export.py").run_ours(source, tmp_path / "text.gguf")
    assert source.stat().st_size > 300_000_000
    assert run.peak < 250 << 20


def test_the_quantiser_runs_as_a_module_of_its_own() -> None:
    """Asked without arguments it fails in Python, so what it imports is there wherever edgefuse is."""
    done = subprocess.run([sys.executable, "-m", "edgefuse_export.quantize_gguf"], capture_output=True, text=True)
    assert "missing" in done.stderr
