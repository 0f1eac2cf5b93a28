"""Vectors of a full-precision ONNX graph, of pictures and of notes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgefuse_export import vision
from edgefuse_export.parity import source
from edgefuse_export.parity.samples import read_samples
from edgefuse_runtimes.image import prepare
from edgefuse_runtimes.spec import EncoderSpec, Pooling, Tokenization
from tests.edgefuse_export.conftest import draw_once

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")


def test_the_reference_sees_the_graph_of_the_untouched_model(dinov2_folder: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    samples, seen = read_samples(count=4), []

    def reference(graph: Path, spec: EncoderSpec) -> None:
        seen.append(source.source_vectors(graph, spec, tmp_path / spec.file, samples))

    spec = vision.export_image_encoder(dinov2_folder, tmp_path, reference=reference)
    assert spec.preprocess is not None
    batch = np.stack([prepare(draw_once(seed).image, spec.preprocess) for seed in range(4)])  # (4, 3, 56, 56)
    with torch.no_grad():
        model = transformers.Dinov2Model.from_pretrained(dinov2_folder).eval()
        expected = model(torch.tensor(batch)).last_hidden_state[:, 0].numpy()  # (4, 48)
    assert len(seen) == 1
    np.testing.assert_allclose(seen[0], expected, atol=1e-5)


@pytest.fixture
def note_graph(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """An embedding table (11, 6) times the attention mask, beside an output that nobody wants."""
    table = np.random.default_rng(0).normal(size=(11, 6)).astype(np.float32)
    helper, kind = onnx.helper, onnx.TensorProto
    ids, mask = (
        helper.make_tensor_value_info(name, kind.INT64, ["n", "t"]) for name in ("input_ids", "attention_mask")
    )
    outputs = [helper.make_tensor_value_info(name, kind.FLOAT, None) for name in ("pooled", "states")]
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
            helper.make_node("Cast", ["attention_mask"], ["seen"], to=kind.FLOAT),
            helper.make_node("Unsqueeze", ["seen", "last"], ["column"]),
            helper.make_node("Mul", ["rows", "column"], ["states"]),
            helper.make_node("Neg", ["states"], ["pooled"]),
        ],
        "notes", [ids, mask], outputs,
        [onnx.numpy_helper.from_array(table, "table"), onnx.numpy_helper.from_array(np.array([2]), "last")],
    )  # fmt: skip
    path = tmp_path / "notes.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path, table


@pytest.mark.parametrize("pooling", ["cls", "last", "mean"])
@pytest.mark.parametrize("normalize", [False, True])
def test_a_graph_of_notes_is_fed_by_the_names_of_its_inputs(
    note_graph: tuple[Path, np.ndarray], pooling: Pooling, normalize: bool
) -> None:
    path, table = note_graph
    spec = EncoderSpec(
        modality="text", format="onnx", file="text.onnx", sha256="", bytes=0, precision="int8", width=6,
        pooling=pooling, normalize=normalize, tokenization=Tokenization(77, add_bos=False, newline_to_space=False),
    )  # fmt: skip
    run = source.onnx_encoder(path, spec, "states")
    for ids in ([3, 1, 4], [9]):
        rows = table[ids]
        expected = {"cls": rows[0], "last": rows[-1], "mean": rows.mean(axis=0)}[pooling]
        expected = expected / np.linalg.norm(expected) if normalize else expected
        np.testing.assert_allclose(run(np.array(ids, np.int32)), expected, atol=1e-6)
