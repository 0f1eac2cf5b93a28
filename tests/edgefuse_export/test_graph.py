"""ONNX graphs cut, fixed and folded, compared with what onnxruntime makes of the original."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from edgefuse_export import graph
from edgefuse_runtimes.errors import BadInput

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")
helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT
SIDE = 8


def run(file: Path, pixels: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: pixels})[0]


def operators(file: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(file).graph.node)


def pictures(count: int = 1) -> np.ndarray:
    return np.random.default_rng(7).normal(size=(count, 3, SIDE, SIDE)).astype(np.float32)


def constant(name: str, values: np.ndarray) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(values, name)


def build(
    path: Path,
    *,
    shape: tuple[int | str, ...] = ("batch", 3, "height", "width"),
    kind: int = FLOAT,
    poison: float = 0.0,
    domain: str = "",
    outputs: tuple[str, ...] = ("/backbone/norm", "decoded"),
) -> Path:
    """Patches -> tokens, their shape computed when it runs -> a named layer norm -> a decoder to drop."""
    rng = np.random.default_rng(3)
    weight = rng.normal(0, 0.5, (6, 10)).astype(np.float32)
    weight[0, 0] += poison
    nodes = [
        helper.make_node("Conv", ["pixels", "patch"], ["patches"], strides=[4, 4]),
        helper.make_node("Shape", ["patches"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "first"], ["batch_size"], axis=0),
        helper.make_node("Concat", ["batch_size", "six", "rest"], ["flat_shape"], axis=0),
        helper.make_node("Reshape", ["patches", "flat_shape"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["tokens"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["tokens", "weight"], ["projected"], domain=domain),
        helper.make_node("Tanh", ["projected"], ["bent"]),
        helper.make_node("MatMul", ["bent", "second"], ["mixed"]),
        helper.make_node("ReduceMean", ["mixed"], ["mean"], axes=[-1], name="/backbone/layernorm/ReduceMean"),
        helper.make_node("Sub", ["mixed", "mean"], ["/backbone/norm"], name="/backbone/layernorm/Sub"),
        helper.make_node("MatMul", ["/backbone/norm", "third"], ["decoded"], name="/decoder/MatMul"),
    ]
    made = helper.make_graph(
        nodes,
        "whole",
        [helper.make_tensor_value_info("pixels", kind, shape)],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [
            constant("patch", rng.normal(0, 0.2, (6, 3, 4, 4)).astype(np.float32)),
            constant("first", np.array([0])),
            constant("six", np.array([6])),
            constant("rest", np.array([-1])),
            constant("weight", weight),
            constant("second", rng.normal(0, 0.5, (10, 12)).astype(np.float32)),
            constant("third", rng.normal(0, 0.5, (12, 2)).astype(np.float32)),
        ],
    )
    for output in made.output:
        output.type.tensor_type.shape.SetInParent()
    for output, width in zip(made.output, (12, 2), strict=False):
        for size in ("batch", "tokens", width):
            dim = output.type.tensor_type.shape.dim.add()
            setattr(dim, "dim_value" if isinstance(size, int) else "dim_param", size)
    opsets = [helper.make_opsetid("", 14)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    onnx.save(helper.make_model(made, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return build(tmp_path / "whole.onnx")


def test_cut_backbone_ends_at_the_layer_norm_and_leaves_the_decoder_out(whole: Path, tmp_path: Path) -> None:
    cut = graph.cut_backbone(whole, tmp_path / "cut.onnx")
    np.testing.assert_array_equal(run(cut, pictures(2)), run(whole, pictures(2)))
    model = onnx.load(cut)
    assert [output.name for output in model.graph.output] == ["last_hidden_state"]
    assert "third" not in {tensor.name for tensor in model.graph.initializer}
    assert model.opset_import[0].version == 14


def test_cut_needs_a_backbone(tiny_image_onnx: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no DINOv2 backbone"):
        graph.cut_backbone(tiny_image_onnx, tmp_path / "cut.onnx")
    assert not (tmp_path / "cut.onnx").exists()


def test_folding_fixes_the_shapes_and_changes_no_value(whole: Path, tmp_path: Path) -> None:
    cut = graph.cut_backbone(whole, tmp_path / "cut.onnx")
    folded = tmp_path / "folded.onnx"
    assert graph.fold(cut, folded, SIDE) == 14
    assert graph.output_shape(folded) == (1, 4, 12)
    np.testing.assert_allclose(run(folded, pictures()), run(cut, pictures()), atol=1e-6)
    assert not {"Shape", "Gather", "Concat"} & operators(folded).keys()
    assert {node.domain for node in onnx.load(folded).graph.node} == {""}
    assert [(entry.domain, entry.version) for entry in onnx.load(folded).opset_import] == [("", 14)]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cut.onnx", "folded.onnx", "whole.onnx"]


def test_last_hidden_state_is_taken_from_several_outputs(whole: Path, tmp_path: Path) -> None:
    model = onnx.load(whole)
    model.graph.node.append(helper.make_node("Identity", ["/backbone/norm"], ["last_hidden_state"]))
    output = onnx.ValueInfoProto()
    output.CopyFrom(model.graph.output[0])
    output.name = "last_hidden_state"
    model.graph.output.append(output)
    onnx.save(model, whole)
    graph.fold(whole, tmp_path / "folded.onnx", SIDE)
    assert graph.output_shape(tmp_path / "folded.onnx") == (1, 4, 12)


def test_several_unnamed_outputs_are_refused(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"several outputs \(/backbone/norm, decoded\)"):
        graph.fold(whole, tmp_path / "folded.onnx", SIDE)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"shape": (1, 3, 16, 16)},
            "float input of shape 1 x 3 x 16 x 16, and a float picture of shape 1 x 3 x 8 x 8",
        ),
        ({"shape": ("n", 1, 8, 8)}, "shape n x 1 x 8 x 8"),
        ({"shape": ("n", 3)}, "shape n x 3"),
        ({"poison": np.nan}, "not finite in 'weight'"),
        ({"poison": np.inf}, "not finite in 'weight'"),
        ({"domain": "com.example"}, "does not run on one picture"),
        (
            {"kind": onnx.TensorProto.FLOAT16},
            "float16 input|not a valid ONNX file|does not run on one picture",
        ),
    ],
)
def test_graphs_that_are_no_image_encoder_are_refused(tmp_path: Path, changes: dict, sentence: str) -> None:
    source = build(tmp_path / "bad.onnx", outputs=("decoded",), **changes)
    with pytest.raises(BadInput, match=sentence) as caught:
        graph.fold(source, tmp_path / "folded.onnx", SIDE)
    assert str(source) in str(caught.value)


def test_a_size_that_the_graph_cannot_take_is_refused(whole: Path, tmp_path: Path) -> None:
    cut = graph.cut_backbone(whole, tmp_path / "cut.onnx")
    with pytest.raises(BadInput, match="does not run on one picture of 2x2 pixels"):
        graph.fold(cut, tmp_path / "folded.onnx", 2)


@pytest.mark.parametrize("content", [b"", b"no ONNX at all", b"\x08\x08\x12\x07pytorch"])
def test_other_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(BadInput, match=r"bad\.onnx is not a valid ONNX file"):
        graph.load_graph(tmp_path / "bad.onnx")


def test_a_truncated_file_is_refused(whole: Path) -> None:
    whole.write_bytes(whole.read_bytes()[:-40])
    with pytest.raises(BadInput, match="is not a valid ONNX file"):
        graph.load_graph(whole)


def test_weights_in_a_missing_second_file_are_named(whole: Path, tmp_path: Path) -> None:
    onnx.save(
        onnx.load(whole),
        tmp_path / "split.onnx",
        save_as_external_data=True,
        location="gone.data",
        size_threshold=0,
    )
    (tmp_path / "gone.data").unlink()
    with pytest.raises(BadInput, match=r"split\.onnx is not a valid ONNX file"):
        graph.load_graph(tmp_path / "split.onnx")
