"""`edgefuse export` as a user calls it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgefuse.encoders import Encoders
from edgefuse_export.commands.export import command
from edgefuse_runtimes.errors import BadInput

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")
pytest.importorskip("gguf", reason="gguf is not installed (extra export)")


def export(image: Path | str, text: Path | str, output: Path) -> Result:
    arguments = ["--image-encoder", str(image), "--text-encoder", str(text), "--output", str(output)]
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


def test_help_shows_an_example() -> None:
    outcome = CliRunner().invoke(command, ["--help"])
    assert "edgefuse export --image-encoder M/dinov2 --text-encoder M/smollm2 --output E" in outcome.output
