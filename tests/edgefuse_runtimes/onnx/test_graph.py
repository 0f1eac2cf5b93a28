"""Whole files, against the onnx package; and damaged files, which are refused with a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.onnx.graph import load
from edgefuse_runtimes.onnx.program import compile_graph


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged") / "damaged.onnx"


def refusal(path: Path, content: bytes) -> str:
    """What is said against a damaged file; a file that still is a model that compiles passes unnamed."""
    path.write_bytes(content)
    try:
        compile_graph(load(path), (1, 3, 28, 28), "normal")
    except BadInput as error:
        return str(error)
    return f"{path} is fine."


def test_a_graph_is_read_as_onnx_reads_it(tiny_int8: Path) -> None:
    expected = onnx.load(tiny_int8)

    graph = load(tiny_int8)

    assert graph.opsets[""] == 18
    assert [(node.operator, *node.inputs, *node.outputs) for node in graph.nodes] == [
        (node.op_type, *node.input, *node.output) for node in expected.graph.node
    ]
    assert [value.name for value in graph.inputs] == ["pixel_values"]
    assert graph.inputs[0].shape == (1, 3, 28, 28)
    assert graph.inputs[0].dtype == np.float32
    assert graph.outputs[0].name == "last_hidden_state"
    assert set(graph.initializers) == {tensor.name for tensor in expected.graph.initializer}
    for tensor in expected.graph.initializer:
        np.testing.assert_array_equal(graph.initializers[tensor.name], onnx.numpy_helper.to_array(tensor))


def test_attributes_of_every_kind_are_read(save_model: Callable[..., Path]) -> None:
    array = np.arange(3.0)
    values = {
        "a": 1,
        "b": 0.5,
        "c": "text",
        "d": [1, -2],
        "e": [0.25, 4.0],
        "f": ["x", "y"],
        "g": 0,
        "h": array,
    }
    values_as_onnx = values | {"h": onnx.numpy_helper.from_array(array)}
    node = onnx.helper.make_node("Custom", ["x"], ["y"], domain="com.example", **values_as_onnx)
    path = save_model([node], {"x": (np.float32, ["n", None])}, {"y": (np.float32, None)})

    graph = load(path)

    [read] = graph.nodes
    np.testing.assert_array_equal(read.attributes["h"], array)
    expected = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k != "h"}
    assert {key: value for key, value in read.attributes.items() if key != "h"} == expected
    assert (read.domain, graph.inputs[0].shape) == ("com.example", ("n", ""))


def test_constants_stay_valid_after_their_pages_were_given_back(tiny_fp32: Path) -> None:
    graph = load(tiny_fp32)
    before = {name: array.copy() for name, array in graph.initializers.items()}

    graph.forget_pages()

    for name, array in graph.initializers.items():
        np.testing.assert_array_equal(array, before[name])


@given(st.binary(max_size=200))
def test_noise_is_refused(scratch: Path, noise: bytes) -> None:
    scratch.write_bytes(noise)

    with pytest.raises(BadInput, match=r"damaged\.onnx"):
        load(scratch)


@given(data=st.data())
def test_a_truncated_file_is_refused_or_read(tiny_int8: Path, scratch: Path, data: st.DataObject) -> None:
    content = tiny_int8.read_bytes()

    sentence = refusal(scratch, content[: data.draw(st.integers(0, len(content) - 1))])

    assert str(scratch) in sentence
    assert sentence.endswith(".")


@given(data=st.data())
def test_flipped_bits_are_refused_or_read(tiny_int8: Path, scratch: Path, data: st.DataObject) -> None:
    content = bytearray(tiny_int8.read_bytes())
    for bit in data.draw(st.lists(st.integers(0, 8 * len(content) - 1), min_size=1, max_size=8)):
        content[bit // 8] ^= 1 << bit % 8

    sentence = refusal(scratch, bytes(content))

    assert str(scratch) in sentence
    assert sentence.endswith(".")


def test_a_missing_file_an_empty_one_and_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()

    for name in ("absent.onnx", "empty.onnx", "."):
        with pytest.raises(BadInput, match="cannot be opened"):
            load(tmp_path / name)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m.ClearField("graph"), "holds no graph"),
        (lambda m: m.opset_import[0].CopyFrom(onnx.helper.make_opsetid("", 12)), "operator set 12"),
        (lambda m: m.graph.node[0].input.append("nowhere"), "takes 'nowhere', which nothing before it gives"),
        (lambda m: m.graph.node[1].output.append("patches"), "gives 'patches', which is given already"),
        (
            lambda m: m.graph.output[0].CopyFrom(onnx.ValueInfoProto(name="z", type=m.graph.output[0].type)),
            "'z'",
        ),
        (lambda m: m.graph.initializer.append(m.graph.initializer[0]), "two constants"),
        (lambda m: m.graph.sparse_initializer.add(), "sparse constants"),
    ],
)
def test_a_model_that_makes_no_sense_is_refused(
    tiny_fp32: Path, tmp_path: Path, change: Callable[[onnx.ModelProto], object], reason: str
) -> None:
    model = onnx.load(tiny_fp32)
    change(model)
    onnx.save(model, tmp_path / "odd.onnx")

    with pytest.raises(BadInput, match=reason):
        load(tmp_path / "odd.onnx")


def test_an_older_file_may_list_its_constants_among_the_inputs(tiny_fp32: Path, tmp_path: Path) -> None:
    model = onnx.load(tiny_fp32)
    model.graph.input.append(onnx.helper.make_tensor_value_info("class", onnx.TensorProto.FLOAT, [1, 1, 32]))
    onnx.save(model, tmp_path / "old.onnx")

    assert [value.name for value in load(tmp_path / "old.onnx").inputs] == ["pixel_values"]
