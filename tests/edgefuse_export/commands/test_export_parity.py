"""The parity report and the gates of `edgefuse export`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse.kits.encoders import Encoders
from edgefuse.kits.packing import pack
from edgefuse_export.commands.export import command
from edgefuse_export.parity.report import SCHEMA
from edgefuse_export.parity.samples import COUNT
from edgefuse_runtimes.files import sha256
from tests.edgefuse_export.commands.conftest import FEW, export, finished_steps_left_out

pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")
pytest.importorskip("gguf", reason="gguf is not installed (extra export)")


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
    reference = (Path(__file__).parents[3] / "docs" / "reference" / "parity.md").read_text()
    assert [name for name in sorted(set(names(report))) if f"`{name}`" not in reference] == []


def names(part: Any) -> Iterator[str]:
    """Every name in a JSON document, but for those of files and of precisions."""
    if isinstance(part, dict):
        for name, value in part.items():
            yield name
            yield from names(list(value.values()) if name in ("encoders", "labels_by_precision") else value)
    elif isinstance(part, list):
        for value in part:
            yield from names(value)


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
