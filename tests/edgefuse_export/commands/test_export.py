"""`edgefuse export` as a user calls it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgefuse.datasets.drawn import write_example
from edgefuse.embeddings import open_table
from edgefuse.encoders import Encoders
from edgefuse.golden import probe_sample
from edgefuse.packing import pack
from edgefuse_export.commands.export import command
from edgefuse_export.parity.report import SCHEMA
from edgefuse_export.parity.samples import COUNT
from edgefuse_runtimes.encoder import ENGINES
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256
from edgefuse_runtimes.probe import probe

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")
pytest.importorskip("gguf", reason="gguf is not installed (extra export)")


FEW = ("--samples-count", "12")
"""Of the drawn samples: what is tested here does not get better by more."""


def export(image: Path | str, text: Path | str, output: Path, *options: str) -> Result:
    arguments = ["--image-encoder", str(image), "--text-encoder", str(text), "--output", str(output), *FEW, *options]
    return CliRunner().invoke(command, arguments)


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
    options = ["--image-encoder", tiny_image_onnx, *text, "--output", tmp_path / "E"]
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
    options = ["--precision", precision, "--preprocess", "squash"]
    outcome = export(tiny_image_onnx, tiny_text_gguf, tmp_path / "E", *options)
    assert outcome.exit_code == 0, outcome.output
    spec = Encoders.open(tmp_path / "E").image
    assert spec.preprocess is not None
    assert (spec.precision, spec.preprocess.resize, spec.recipe["preprocess"]) == (precision, "squash", "squash")
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
    assert "holds a text encoder; give an image encoder" in str(outcome.exception)


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


@pytest.fixture
def table(tiny_workshop: Path, tmp_path: Path) -> Path:
    """Forty labelled drawn samples as a table of one's own."""
    lines = (tiny_workshop / "drawn" / "table.csv").read_text().splitlines(keepends=True)
    shutil.copytree(tiny_workshop / "drawn" / "images", tmp_path / "own" / "images")
    path = tmp_path / "own" / "skin.csv"
    path.write_text("".join(lines[:41]).replace("drawn-0007,", "<b>7</b>,"))
    return path


def test_parity_is_measured_on_ones_own_samples(
    tiny_image_onnx: Path, tiny_text_gguf: Path, tiny_workshop: Path, table: Path, tmp_path: Path
) -> None:
    options = ["--samples", str(table), "--samples-count", "500", "--head", str(tiny_workshop / "head")]
    outcome = export(tiny_image_onnx, tiny_text_gguf, tmp_path / "E", *options, "--min-agreement", "0.2")
    assert outcome.exit_code == 0, outcome.output
    report = json.loads((tmp_path / "E" / "parity.json").read_text())
    assert report["schema"] == SCHEMA
    for modality in ("image", "text"):
        found = report["encoders"][modality]
        assert (found["count"], found["on"], found["drawn"]) == (40, "skin.csv", False)
        assert 0 < found["plain"]["mean"] < 0.01
        page = (tmp_path / "E" / f"parity-{modality}.html").read_text()
        assert "<b>7</b>" not in page
        assert "<img" not in page
    assert report["labels"]["head"]["trained_on_these_files"] == {"image": True, "text": True}
    assert report["labels"]["samples"]["labelled"] == 40
    assert "labels: " in outcome.stdout


def test_the_encoders_description_carries_the_figures_into_the_kit(
    tiny_image_onnx: Path, tiny_text_gguf: Path, tiny_workshop: Path, tmp_path: Path
) -> None:
    assert export(tiny_image_onnx, tiny_text_gguf, tmp_path / "E").exit_code == 0
    report, encoders = json.loads((tmp_path / "E" / "parity.json").read_text()), Encoders.open(tmp_path / "E")
    evaluation = json.loads((tiny_workshop / "head" / "evaluation.json").read_text())
    kit = pack(encoders, tiny_workshop / "head", evaluation, tmp_path / "a.kit", name="a", version="1")
    for spec, packed in ((encoders.image, kit.image), (encoders.text, kit.text)):
        parity, found = spec.recipe["parity"], report["encoders"][spec.modality]
        assert packed.recipe["parity"] == parity
        assert (parity["samples"], parity["on"]) == (12, "the drawn example")
        assert {name: parity[name] for name in found["plain"]} == found["plain"]
        assert parity["centred"] == found["centred"]
        assert "drawn-0" not in json.dumps(parity)  # no sample is named in a kit
    assert not [path for path in (tmp_path / "a.kit").rglob("*") if "parity" in path.name]


def test_each_file_of_two_precisions_is_proven(
    tiny_image_onnx: Path, tiny_text_gguf: Path, tiny_workshop: Path, table: Path, tmp_path: Path
) -> None:
    options = ["--samples", str(table), "--head", str(tiny_workshop / "head"), "--precision", "both"]
    outcome = export(tiny_image_onnx, tiny_text_gguf, tmp_path / "E", *options, "--max-error", "1e-2")
    assert outcome.exit_code == 0, outcome.output
    report = json.loads((tmp_path / "E" / "parity.json").read_text())
    assert list(report["encoders"]) == ["image", "text", "image-fp32"]
    assert [found["precision"] for found in report["encoders"].values()] == ["int8", "q8_0", "fp32"]
    assert report["encoders"]["image-fp32"]["plain"]["worst"] < 1e-9 < report["encoders"]["image"]["plain"]["mean"]
    assert report["labels"]["head"]["trained_on_these_files"] == {"image": True, "text": True}
    other = report["labels_by_precision"]["fp32"]
    assert other["head"]["trained_on_these_files"] == {"image": False, "text": True}
    assert other["comparisons"]["image"]["agreement"]["mean"] == 1
    for name, shown in (("image", "image.onnx"), ("text", "text.gguf"), ("image-fp32", "image-fp32.onnx")):
        assert f"The vectors of {shown} are" in (tmp_path / "E" / f"parity-{name}.html").read_text()
    assert "labels, fp32: " in outcome.stdout
    assert "parity-image-fp32.html" in outcome.stdout


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_float32_is_as_good_as_its_source(
    tiny_image_onnx: Path, tiny_text_gguf: Path, tmp_path: Path, precision: str
) -> None:
    assert export(tiny_image_onnx, tiny_text_gguf, tmp_path / "E", "--precision", precision).exit_code == 0
    found = json.loads((tmp_path / "E" / "parity.json").read_text())["encoders"]["image"]
    assert (found["centred"]["worst"] < 1e-6) == (precision == "fp32")


def test_pictures_are_in_the_page_only_when_asked_for(
    tiny_image_onnx: Path, tiny_text_gguf: Path, tmp_path: Path
) -> None:
    assert export(tiny_image_onnx, tiny_text_gguf, tmp_path / "E", "--with-pictures").exit_code == 0
    assert "data:image/jpeg;base64," in (tmp_path / "E" / "parity-image.html").read_text()
    assert "data:image" not in (tmp_path / "E" / "parity-text.html").read_text()


def test_an_encoder_beyond_the_error_allowed_is_not_kept(
    cli: Callable[..., Any], tiny_image_onnx: Path, tiny_text_gguf: Path, tmp_path: Path
) -> None:
    sources = ["--image-encoder", tiny_image_onnx, "--text-encoder", tiny_text_gguf]
    outcome = cli("export", *sources, "--output", tmp_path / "E", *FEW, "--max-error", "1e-9")
    assert (outcome.code, outcome.out) == (3, "")
    assert finished_steps_left_out(outcome).err.count("\n") == 1
    assert "--max-error allows 1.00e-09; nothing was kept" in outcome.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--min-agreement", "0.9"], "and no head is named; add --head or --kit, or leave it out."),
        (["--samples", "nowhere"], "There is no folder or table nowhere; check the path given with --samples."),
        (["--head", "nowhere"], "nowhere is no head (no head.json); make one with 'edgefuse train'."),
        (["--kit", "nowhere"], "There is no kit at nowhere; check the path."),
    ],
)
def test_what_cannot_judge_is_refused_before_any_work(
    cli: Callable[..., Any], tiny_image_onnx: Path, tiny_text_gguf: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    sources = ["--image-encoder", tiny_image_onnx, "--text-encoder", tiny_text_gguf, "--output", tmp_path / "E"]
    assert cli("export", *sources, *FEW, *options).refusal.endswith(said)
    assert list(tmp_path.iterdir()) == []


def test_a_head_of_other_encoders_is_refused(
    cli: Callable[..., Any], tiny_image_onnx: Path, tiny_text_gguf: Path, tiny_workshop: Path, tmp_path: Path
) -> None:
    head = tmp_path / "head"
    shutil.copytree(tiny_workshop / "head", head)
    description = json.loads((head / "head.json").read_text())
    with np.load(head / "head.npz") as arrays:
        parts = dict(arrays)
    parts["alignment.image.projection"] = np.zeros((48, 24), np.float32)
    np.savez(head / "head.npz", **parts)
    description["encoders"]["image"]["width"] = 48
    description["arrays_sha256"] = sha256(head / "head.npz")
    (head / "head.json").write_text(json.dumps(description))
    sources = ["--image-encoder", tiny_image_onnx, "--text-encoder", tiny_text_gguf, "--output", tmp_path / "E"]
    sentence = finished_steps_left_out(cli("export", *sources, *FEW, "--head", head)).refusal
    assert "The head head reads image vectors 48 wide, and this encoder gives 24" in sentence
    assert [path.name for path in tmp_path.iterdir()] == ["head"]


def test_the_default_count_is_that_of_the_samples() -> None:
    option = next(option for option in command.params if option.name == "samples_count")
    assert option.default == COUNT


def finished_steps_left_out(outcome: Any) -> Any:
    """The outcome without the lines of steps that were finished before."""
    return outcome._replace(err="".join(line for line in outcome.err.splitlines(True) if line.startswith("edgefuse:")))


def test_clip_is_both_encoders(cli: Callable[..., Any], text_folder: Callable[[str], Path], tmp_path: Path) -> None:
    """And its kit answers on either engine, while damage to its tokenizer is noticed."""
    source = text_folder("clip")
    assert cli("export", "--clip", source, "--output", tmp_path / "E").code == 0
    encoders = Encoders.open(tmp_path / "E")
    assert (encoders.image.width, encoders.text.width) == (40, 40)
    assert (encoders.image.precision, encoders.text.precision) == ("int8", "int8")
    assert encoders.image.source == encoders.text.source
    assert_a_kit_answers(cli, tmp_path)
    assert_damage_to_the_tokenizer_is_noticed(cli, tmp_path)


def test_dinov2_and_a_sentence_encoder_make_a_kit(
    cli: Callable[..., Any], text_folder: Callable[[str], Path], dinov2_folder: Path, tmp_path: Path
) -> None:
    options = ["--image-encoder", dinov2_folder, "--text-encoder", text_folder("sentence-bert")]
    precision = ["--precision", "fp32", "--pooling", "cls"]
    assert cli("export", *options, *precision, "--output", tmp_path / "E").code == 0
    encoders = Encoders.open(tmp_path / "E")
    assert (encoders.image.precision, encoders.text.precision, encoders.text.pooling) == ("fp32", "fp32", "cls")
    assert_a_kit_answers(cli, tmp_path)


def assert_a_kit_answers(cli: Callable[..., Any], folder: Path) -> None:
    """Extract, train, pack and classify; both engines give one table."""
    write_example(folder / "drawn", count=40)
    data = ["--dataset", "drawn", "--root", folder / "drawn", "--encoders", folder / "E"]
    for engine in ("numpy", "onnxruntime"):
        assert cli("extract", *data, "--engine", engine, "--output", folder / f"V-{engine}").code == 0
    tables = [open_table(folder / f"V-{engine}") for engine in ("numpy", "onnxruntime")]
    for modality in ("text", "image"):
        ours, theirs = (np.asarray(getattr(table, modality), np.float64) for table in tables)
        ours, theirs = ours - theirs.mean(0), theirs - theirs.mean(0)
        cosines = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
        assert cosines.mean() > 0.99
    assert cli("train", folder / "V-numpy", "--fusion", "early", "--epochs", "2", "--output", folder / "H").code == 0
    packed = cli(
        "pack", "--encoders", folder / "E", "--head", folder / "H", "--name", "k", "--output", folder / "k.kit"
    )
    assert packed.code == 0, packed
    picture = sorted((folder / "drawn").rglob("*.png"))[0]
    for engine in ("numpy", "onnxruntime", "auto"):
        answer = cli(
            "classify", picture, "--note", "mole " * 200, "--kit", folder / "k.kit", "--engine", engine, "--json"
        )
        assert answer.code == 0, answer
        said = json.loads(answer.out)
        wanted = "onnxruntime" if engine == "auto" else engine
        assert said["engines"] == {"image": wanted, "text": wanted}
        assert any("The note is too long" in note for note in said["notes"])


def assert_damage_to_the_tokenizer_is_noticed(cli: Callable[..., Any], folder: Path) -> None:
    picture = sorted((folder / "drawn").rglob("*.png"))[0]
    classify = ["classify", picture, "--note", "a mole", "--kit", folder / "k.kit"]
    for place in ("k.kit", "E"):
        path = folder / place / "tokenizer.json"
        content = path.read_bytes()
        path.write_bytes(content.replace(b'"a</w>"', b'"b</w>"', 1))
        if place == "E":
            with pytest.raises(BadInput, match=r"tokenizer\.json is not the file that was exported"):
                Encoders.open(folder / "E")
        else:
            assert "tokenizer.json is not the file that was exported (sha256 differs)" in cli(*classify).refusal
        path.unlink()
        if place == "E":
            with pytest.raises(BadInput, match=r"lacks the file tokenizer\.json"):
                Encoders.open(folder / "E")
        else:
            assert "lacks the file tokenizer.json" in cli(*classify).refusal
        path.write_bytes(content)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--clip", "M/clip", "--image-encoder", "M/dinov2"], "--clip names both encoders; leave --image-encoder and"),
        (["--clip", "M/clip", "--text-encoder", "M/minilm"], "--clip names both encoders"),
        (["--image-encoder", "M/dinov2"], "Two encoders are needed; give --image-encoder and --text-encoder, or"),
        ([], "Two encoders are needed"),
    ],
)
def test_one_encoder_for_each_place(cli: Callable[..., Any], tmp_path: Path, options: list[str], said: str) -> None:
    assert said in cli("export", *options, "--output", tmp_path / "E").refusal
    assert list(tmp_path.iterdir()) == []


def test_a_clip_without_its_other_half_is_refused(
    cli: Callable[..., Any], text_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    sentence = finished_steps_left_out(
        cli("export", "--clip", text_folder("clip_text_model"), "--output", tmp_path / "E")
    ).refusal
    assert "type 'clip_text_model'; the image encoders that can be exported are" in sentence
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_llama_is_pooled_as_asked(tiny_image_onnx: Path, tiny_text_gguf: Path, tmp_path: Path, pooling: str) -> None:
    outcome = export(tiny_image_onnx, tiny_text_gguf, tmp_path / "E", "--pooling", pooling)
    assert outcome.exit_code == 0, outcome.output
    assert Encoders.open(tmp_path / "E").text.pooling == pooling


def test_help_shows_an_example() -> None:
    outcome = CliRunner().invoke(command, ["--help"])
    assert "edgefuse export --image-encoder M/dinov2 --text-encoder M/smollm2 --output E" in outcome.output
