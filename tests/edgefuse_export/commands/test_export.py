"""`edgefuse export` as a user calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from edgefuse.kits.encoders import Encoders
from edgefuse.kits.golden import probe_sample
from edgefuse_export.commands.export import command
from edgefuse_runtimes.encoder import ENGINES
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.probe import probe
from tests.edgefuse_export.commands.conftest import FEW, export, finished_steps_left_out

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")
pytest.importorskip("gguf", reason="gguf is not installed (extra export)")


def test_two_sources_become_an_encoders_folder(tiny_image_onnx: Path, tiny_text_gguf: Path, tmp_path: Path) -> None:
    outcome = export(tiny_image_onnx, tiny_text_gguf, tmp_path / "E")
    assert outcome.exit_code == 0, outcome.output
    encoders = Encoders.open(tmp_path / "E")
    assert (encoders.image.precision, encoders.text.precision) == ("int8", "q8_0")
    assert (encoders.image.width, encoders.text.width) == (24, 64)
    assert [path.name for path in tmp_path.iterdir()] == ["E"]
    assert "DINOv2's own preprocessing was assumed" in outcome.stderr
    assert "image encoder int8" in outcome.stdout
    assert "image: mean 1 - cosine to its source " in outcome.stdout
    assert "(12 samples of the drawn example)" in outcome.stdout
    assert f"See {tmp_path / 'E' / 'parity-image.html'} and {tmp_path / 'E' / 'parity-text.html'}." in outcome.stdout


def test_a_text_encoder_of_few_bits_is_taken_only_when_asked_for(
    cli: Callable[..., Any], tiny_image_onnx: Path, tiny_text_gguf: Path, tmp_path: Path
) -> None:
    import gguf

    reader, q4_1 = gguf.GGUFReader(tiny_text_gguf), gguf.GGMLQuantizationType.Q4_1
    writer = gguf.GGUFWriter(tmp_path / "few-bits.gguf", "llama")
    for key, field in reader.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            writer.add_key_value(key, field.contents(), *[*field.types, None][:2])
    for tensor in reader.tensors:
        matrix = len(tensor.shape) == 2
        stored = gguf.quants.quantize(tensor.data, q4_1) if matrix else np.array(tensor.data)
        writer.add_tensor(tensor.name, stored, raw_dtype=q4_1 if matrix else None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    text = ["--text-encoder", tmp_path / "few-bits.gguf"]
    options = ["--image-encoder", tiny_image_onnx, *text, "--output", tmp_path / "E", *FEW]
    refusal = finished_steps_left_out(cli("export", *options)).refusal
    assert "few-bits.gguf stores matrices as Q4_1" in refusal
    assert refusal.endswith("or add --requantize.")
    outcome = cli("export", *options, "--requantize")
    assert outcome.code == 0, outcome.err
    warning = "edgefuse: few-bits.gguf stores matrices as Q4_1: what was lost there cannot come back.\n"
    assert warning in outcome.err


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_golden_vectors_try_the_engine_of_either_precision(
    tiny_image_onnx: Path, tiny_text_gguf: Path, tmp_path: Path, precision: str
) -> None:
    options = ["--precision", precision, "--preprocess", "squash", "--bands", "8,4,3"]
    outcome = export(tiny_image_onnx, tiny_text_gguf, tmp_path / "E", *options)
    assert outcome.exit_code == 0, outcome.output
    spec = Encoders.open(tmp_path / "E").image
    assert spec.preprocess is not None
    assert (spec.precision, spec.preprocess.resize, spec.recipe["preprocess"]) == (precision, "squash", "squash")
    assert spec.preprocess.bands == (8, 4, 3)
    found = {engine.name: engine for engine in ENGINES["onnx"]}["onnxruntime"]
    sample = probe_sample((tmp_path / "E").joinpath, spec)
    verdict = probe(found, tmp_path / "E" / spec.file, spec, sample, threads=1, memory="normal")
    assert verdict.trusted, verdict.reason


def test_both_precisions_stand_in_one_folder(tiny_image_onnx: Path, tiny_text_gguf: Path, tmp_path: Path) -> None:
    files = {}
    for precision in ("int8", "fp32", "both"):
        outcome = export(tiny_image_onnx, tiny_text_gguf, tmp_path / precision, "--precision", precision)
        assert outcome.exit_code == 0, outcome.output
        encoders = Encoders.open(tmp_path / precision)
        files[precision] = {spec.precision: spec.sha256 for spec in encoders.specs if spec.modality == "image"}
    assert files["both"] == files["int8"] | files["fp32"]
    assert "image encoder int8" in outcome.stdout
    assert "image encoder fp32" in outcome.stdout
    for spec in (encoders.image, *encoders.alternatives):
        assert spec.recipe["parity"]["mean"] < 0.01
    assert abs(encoders.alternatives[0].recipe["parity"]["worst"]) < 1e-9


def test_a_pooler_that_is_not_there_is_refused(tiny_image_onnx: Path, tiny_text_gguf: Path, tmp_path: Path) -> None:
    outcome = export(tiny_image_onnx, tiny_text_gguf, tmp_path / "E", "--pooler")
    assert isinstance(outcome.exception, BadInput)
    assert "leave --pooler out" in str(outcome.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_bad_source_leaves_nothing_behind(tiny_image_onnx: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    outcome = export(tiny_image_onnx, tmp_path / "missing.gguf", work / "E")
    assert isinstance(outcome.exception, BadInput)
    assert list(work.iterdir()) == []


def test_sources_in_the_wrong_places_are_refused(tiny_image_onnx: Path, tiny_text_gguf: Path, tmp_path: Path) -> None:
    outcome = export(tiny_text_gguf, tiny_image_onnx, tmp_path / "E")
    assert isinstance(outcome.exception, BadInput)
    assert "is an ONNX file, which holds an image encoder; give a text encoder" in str(outcome.exception)
    outcome = export(tiny_text_gguf, tiny_text_gguf, tmp_path / "E")
    assert isinstance(outcome.exception, BadInput)
    assert "holds a text encoder; give an image encoder" in str(outcome.exception)


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        ("tiny_image_onnx", [], "give a text encoder"),
        ("tiny_text_gguf", ["--pooling", "cls"], "choose --pooling"),
    ],
)
def test_what_a_text_encoder_cannot_be_is_told_before_the_image_encoder_is_exported(
    request: pytest.FixtureRequest, tiny_image_onnx: Path, tmp_path: Path,
    source: str, options: list[str], said: str,
) -> None:  # fmt: skip
    outcome = export(tiny_image_onnx, request.getfixturevalue(source), tmp_path / "E", *options)
    assert isinstance(outcome.exception, BadInput)
    assert said in str(outcome.exception)
    assert outcome.stderr == ""  # no step of any work


def test_existing_output_is_left_alone(tiny_image_onnx: Path, tiny_text_gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "keep.txt").write_text("mine")
    outcome = export(tiny_image_onnx, tiny_text_gguf, tmp_path)
    assert isinstance(outcome.exception, BadInput)
    assert "already exists" in str(outcome.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["keep.txt"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("letter.txt", b"dear", "is neither a Hugging Face folder, an .onnx file nor a .gguf file; give one of these."),
        ("model.pt", b"\x80\x02}.", "is a pickle, which can run code when read; convert it to safetensors first."),
        ("empty", None, "holds no config.json, so it is no Hugging Face model folder; check the path."),
        ("no.onnx", ..., "check the path of the source."),
    ],
)
@pytest.mark.parametrize("place", ["image", "text"])
def test_a_source_that_is_none_is_refused(
    cli: Callable[..., Any], tiny_image_onnx: Path, tiny_text_gguf: Path, tmp_path: Path,
    place: str, name: str, content: Any, said: str,
) -> None:  # fmt: skip
    source = tmp_path / name
    if content is None:
        source.mkdir()
    elif content is not ...:
        source.write_bytes(content)
    sources = {"image": tiny_image_onnx, "text": tiny_text_gguf} | {place: source}
    before = sorted(tmp_path.rglob("*"))
    options = ["--image-encoder", sources["image"], "--text-encoder", sources["text"], "--output", tmp_path / "E", *FEW]
    sentence = finished_steps_left_out(cli("export", *options)).refusal
    assert str(source) in sentence
    assert sentence.endswith(said)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("content", [b"", b"a letter", b"GGUF\x03\x00\x00\x00", b"\x08\x09\x12\x04tiny"])
@pytest.mark.parametrize("place", ["image", "text"])
def test_a_damaged_source_is_refused(
    cli: Callable[..., Any], tiny_image_onnx: Path, tiny_text_gguf: Path, tmp_path: Path, place: str, content: bytes
) -> None:
    source = tmp_path / ("source.onnx" if place == "image" else "source.gguf")
    source.write_bytes(content)
    sources = {"image": tiny_image_onnx, "text": tiny_text_gguf} | {place: source}
    options = ["--image-encoder", sources["image"], "--text-encoder", sources["text"], "--output", tmp_path / "E", *FEW]
    assert str(source) in finished_steps_left_out(cli("export", *options)).refusal
    assert list(tmp_path.iterdir()) == [source]


def test_weights_that_are_nan_are_refused(
    cli: Callable[..., Any], tiny_image_onnx: Path, tiny_text_gguf: Path, tmp_path: Path
) -> None:
    model = onnx.load(tiny_image_onnx)
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "weight")
    weight.raw_data = np.full((32, 24), np.nan, np.float32).tobytes()
    broken = tmp_path / "broken.onnx"
    onnx.save(model, broken)
    options = ["--image-encoder", broken, "--text-encoder", tiny_text_gguf, "--output", tmp_path / "E", *FEW]
    assert "not finite in 'weight'" in finished_steps_left_out(cli("export", *options)).refusal
    assert list(tmp_path.iterdir()) == [broken]


def test_help_shows_an_example() -> None:
    outcome = CliRunner().invoke(command, ["--help"])
    assert "edgefuse export --image-encoder M/dinov2 --text-encoder M/smollm2 --output E" in outcome.output
