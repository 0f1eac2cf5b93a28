"""Text encoders of several kinds, alone and with a CLIP, through `edgefuse export` to an answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse.datasets.drawn import write_example
from edgefuse.embeddings.table import open_table
from edgefuse.kits.encoders import Encoders
from edgefuse_runtimes.errors import BadInput
from tests.edgefuse_export.commands.conftest import FEW, export, finished_steps_left_out

pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")
pytest.importorskip("gguf", reason="gguf is not installed (extra export)")


def test_clip_is_both_encoders(cli: Callable[..., Any], text_folder: Callable[[str], Path], tmp_path: Path) -> None:
    """And its kit answers on either engine, while damage to its tokenizer is noticed."""
    source = text_folder("clip")
    assert cli("export", "--clip", source, *FEW, "--output", tmp_path / "E").code == 0
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
    assert cli("export", *options, *precision, *FEW, "--output", tmp_path / "E").code == 0
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
