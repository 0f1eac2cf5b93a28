"""The encoders folder as a whole, and what it is proven to be worth."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse.kits.encoders import Encoders
from edgefuse_export.encoders_folder import Exporter, Proof, make_encoders
from edgefuse_export.llama import export_text_encoder
from edgefuse_export.parity.gates import Gates
from edgefuse_export.parity.labels import open_judge
from edgefuse_export.parity.report import closing_lines
from edgefuse_export.parity.samples import read_samples
from edgefuse_export.parity.source import Reference
from edgefuse_export.vision import export_image_encoders
from edgefuse_runtimes.encoder import encode_notes, encode_pictures, open_encoder
from edgefuse_runtimes.errors import QualityGate
from edgefuse_runtimes.folders import part_folder
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.tokenizers import open_tokenizer

pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
pytest.importorskip("gguf", reason="gguf is not installed (extra export)")


PIECES = {"image": {}, "text": {}}


@pytest.fixture
def exporters(tiny_image_onnx: Path, tiny_text_gguf: Path) -> Callable[..., tuple[Exporter, Exporter]]:
    """The exporters of both tiny encoders; the text encoder may be compared with another source."""

    def make(text_source: Path = tiny_text_gguf) -> tuple[Exporter, Exporter]:
        def text(folder: Path, reference: Reference) -> list[EncoderSpec]:
            return [export_text_encoder(tiny_text_gguf, folder, reference=lambda _, spec: reference(text_source, spec))]

        return lambda folder, reference: export_image_encoders(tiny_image_onnx, folder, reference=reference), text

    return make


@pytest.fixture
def another_gguf(tiny_text_gguf: Path, tmp_path: Path) -> Path:
    """The same network with the weights of its last tensors in another order."""
    data = bytearray(tiny_text_gguf.read_bytes())
    weights = np.frombuffer(data, np.float32, 20_000, len(data) - 80_000)
    weights[:] = np.random.default_rng(5).permutation(weights)
    (tmp_path / "other.gguf").write_bytes(data)
    return tmp_path / "other.gguf"


def test_figures_are_those_of_the_engines_vectors(
    exporters: Callable[..., tuple[Exporter, Exporter]], tiny_text_gguf: Path, tmp_path: Path
) -> None:
    samples = read_samples(count=24)
    with part_folder(tmp_path / "E", PIECES) as part:
        made, report = make_encoders(part, *exporters(), Proof(samples))
    encoders = Encoders.open(tmp_path / "E")
    tmp_path /= "E"
    assert (made.image, made.text) == (encoders.image, encoders.text)
    assert json.loads((tmp_path / "parity.json").read_text()) == report
    engine = report["encoders"]["text"]["engines"]["exported"].split()[0]  # two engines differ by their own rounding
    with open_encoder(encoders.text, tmp_path, engine=engine) as encoder:
        exported, _ = encode_notes(encoder, open_tokenizer(tmp_path / "text.gguf"), samples.notes)
    unrounded = replace(encoders.text, file=tiny_text_gguf.name)
    with open_encoder(unrounded, tiny_text_gguf.parent, engine="numpy") as encoder:
        source, _ = encode_notes(encoder, open_tokenizer(tiny_text_gguf), samples.notes)
    a, b = source - source.mean(axis=0), exported - source.mean(axis=0)
    centred = 1 - (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert report["encoders"]["text"]["centred"]["mean"] == pytest.approx(centred.mean(), rel=0.01)
    with open_encoder(encoders.image, tmp_path, engine="numpy") as encoder:
        assert len(encode_pictures(encoder, samples.pictures)) == report["encoders"]["image"]["count"]


def test_equal_notes_are_one_sample_of_the_text_encoder(
    exporters: Callable[..., tuple[Exporter, Exporter]], tiny_kit: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    read_samples(count=1).pictures[0].save(tmp_path / "a.png")  # type: ignore[union-attr]
    table.write_text("id,image,text\n" + "".join(f"{k},a.png,note {k % 4}\n" for k in range(20)))
    proof = Proof(read_samples(table), open_judge(None, tiny_kit))
    with part_folder(tmp_path / "E", PIECES) as part:
        _, report = make_encoders(part, *exporters(), proof)
    assert {name: found["count"] for name, found in report["encoders"].items()} == {"image": 20, "text": 4}
    assert {item["id"] for item in report["encoders"]["text"]["worst"]} == {"0", "1", "2", "3"}
    assert report["labels"]["samples"]["count"] == 20


def test_labels_that_change_too_often_fail_the_gate(
    exporters: Callable[..., tuple[Exporter, Exporter]], another_gguf: Path, tiny_kit: Path, tmp_path: Path
) -> None:
    samples, judge = read_samples(count=60), open_judge(None, tiny_kit)
    proof = Proof(samples, judge, Gates(min_agreement=0.95))
    said = r"With the kit tiny 1, \d\d\.\d\d% of 60 samples of the drawn example keep"
    with pytest.raises(QualityGate, match=said), part_folder(tmp_path / "E", PIECES) as part:
        make_encoders(part, *exporters(another_gguf), proof)
    assert list(tmp_path.iterdir()) == [another_gguf]


def test_a_text_encoder_of_another_source_is_found_out(
    exporters: Callable[..., tuple[Exporter, Exporter]], another_gguf: Path, tmp_path: Path
) -> None:
    proof = Proof(read_samples(count=12), gates=Gates(max_error=0.01))
    said = "The text encoder's mean 1 - cosine to its source is"
    with pytest.raises(QualityGate, match=said), part_folder(tmp_path / "E", PIECES) as part:
        make_encoders(part, *exporters(another_gguf), proof)


def test_the_closing_lines_say_what_was_found() -> None:
    found = {
        "plain": {"mean": 8.4e-4, "standard_error": 2e-5},
        "centred": {"mean": 5e-3},
        "neighbours": {"top_1": {"mean": 0.95}},
        "count": 130,
        "on": "the drawn example",
    }
    few: dict[str, Any] = found | {"neighbours": {"top_1": None}, "count": 2}
    labels = {
        "head": {"name": "the head H"},
        "comparisons": {"both": {"agreement": {"mean": 0.967}, "flips": [{}] * 4}},
    }
    assert closing_lines({"encoders": {"image": found, "text": few}, "labels": labels}) == [
        "image: mean 1 - cosine to its source 8.4e-04 ± 2e-05, centred 5.0e-03, 95% keep their nearest neighbour "
        "(130 samples of the drawn example)",
        "text: mean 1 - cosine to its source 8.4e-04 ± 2e-05, centred 5.0e-03 (2 samples of the drawn example)",
        "labels: 96.7% stay the same with the head H; 4 flip",
    ]


def test_a_gate_holds_for_each_file(
    tiny_image_onnx: Path, exporters: Callable[..., tuple[Exporter, Exporter]], tmp_path: Path
) -> None:
    onnx = pytest.importorskip("onnx")
    other = onnx.load(tiny_image_onnx)
    for tensor in other.graph.initializer:
        if tensor.name == "weight":
            values = onnx.numpy_helper.to_array(tensor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values[::-1].copy(), "weight"))
    onnx.save(other, tmp_path / "other.onnx")

    def image(folder: Path, reference: Reference) -> list[EncoderSpec]:
        int8, fp32 = export_image_encoders(tiny_image_onnx, folder, precision="both", reference=reference)
        shutil.copy(tmp_path / "other.onnx", folder / fp32.file)
        return [int8, fp32]

    proof = Proof(read_samples(count=4), gates=Gates(max_error=0.05))
    said = "The image-fp32 encoder's mean 1 - cosine to its source"
    with pytest.raises(QualityGate, match=said), part_folder(tmp_path / "E", PIECES) as part:
        make_encoders(part, image, exporters()[1], proof)
