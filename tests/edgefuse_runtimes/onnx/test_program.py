"""Whole graphs in numpy against onnxruntime: the answer, and every value on the way to it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import pytest

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.onnx.buffers import Buffers
from edgefuse_runtimes.onnx.graph import load
from edgefuse_runtimes.onnx.program import compile_graph, run
from edgefuse_runtimes.onnx.simplify import run_node

SHAPE = (1, 3, 28, 28)


def test_a_float32_graph_gives_what_onnxruntime_gives(
    tiny_fp32: Path, pictures: np.ndarray, reference: Callable[..., Any]
) -> None:
    program = compile_graph(load(tiny_fp32), SHAPE, "normal")

    for i in range(len(pictures)):
        x = pictures[i : i + 1]
        [expected] = reference(tiny_fp32, {"pixel_values": x})
        np.testing.assert_allclose(run(program, x), expected, atol=2e-5)


def test_every_value_on_the_way_is_what_onnxruntime_gives_on_the_same_inputs(
    tiny_int8: Path, pictures: np.ndarray, reference: Callable[..., Any], tmp_path: Path
) -> None:
    model = onnx.load(tiny_int8)
    names = [name for node in model.graph.node for name in node.output]
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    onnx.save(model, tmp_path / "open.onnx")
    x = pictures[:1]
    results = reference(tmp_path / "open.onnx", {"pixel_values": x})
    expected = dict(zip(names, results, strict=True))
    graph = load(tiny_int8)
    values = {**graph.initializers, **expected, "pixel_values": x}

    for node in graph.nodes:
        for name, result in zip(node.outputs, run_node(node, values, tiny_int8), strict=True):
            if result.dtype.kind in "iu":
                np.testing.assert_array_equal(result, expected[name], err_msg=str(node))
            else:
                np.testing.assert_allclose(result, expected[name], atol=1e-5, rtol=1e-5, err_msg=str(node))


def test_memory_low_keeps_int8_weights_and_gives_the_same_numbers(tiny_int8: Path, pictures: np.ndarray) -> None:
    graph = load(tiny_int8)
    normal, low = compile_graph(graph, SHAPE, "normal"), compile_graph(graph, SHAPE, "low")

    np.testing.assert_array_equal(run(normal, pictures[:1]), run(low, pictures[:1]))
    matrices = {name: array for name, array in low.constants.items() if name.endswith("weight_quantized")}
    assert len(matrices) == 12
    assert all(array.dtype == np.int8 for array in matrices.values())
    assert all(normal.constants[name].dtype == np.float32 for name in matrices)


def test_memory_low_keeps_float_weights_in_the_file(tiny_fp32: Path, pictures: np.ndarray) -> None:
    graph = load(tiny_fp32)
    normal, low = compile_graph(graph, SHAPE, "normal"), compile_graph(graph, SHAPE, "low")

    np.testing.assert_array_equal(run(normal, pictures[:1]), run(low, pictures[:1]))
    weights = {step.node.inputs[1] for step in low.steps if step.node.operator == "Linear"}
    assert len(weights) == 12
    assert all(np.shares_memory(low.constants[name], graph.initializers[name]) for name in weights)
    assert all(normal.constants[name].flags.aligned for name in weights)


def test_a_table_of_words_is_never_copied(tiny_text_fp32: Path) -> None:
    graph = load(tiny_text_fp32)

    for memory in ("normal", "low"):
        program = compile_graph(graph, (1, None), memory)
        assert np.shares_memory(program.constants["words"], graph.initializers["words"])


def test_a_second_run_with_the_same_buffers_gives_the_same(tiny_int8: Path, pictures: np.ndarray) -> None:
    program, buffers = compile_graph(load(tiny_int8), SHAPE, "normal"), Buffers()

    results = [run(program, picture[None], buffers) for picture in pictures]

    for picture, result in zip(pictures, results, strict=True):
        np.testing.assert_array_equal(run(program, picture[None]), result)


def test_arrays_are_freed_after_their_last_use(save_model: Callable[..., Path]) -> None:
    names = [f"v{i}" for i in range(51)]
    nodes = [onnx.helper.make_node("Neg", [a], [b]) for a, b in pairwise(names)]
    path = save_model(nodes, {"v0": (np.float32, [1, 1 << 18])}, {"v50": (np.float32, [1, 1 << 18])})
    program = compile_graph(load(path), (1, 1 << 18), "normal")
    x = np.ones((1, 1 << 18), np.float32)

    tracemalloc.start()
    result = run(program, x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    np.testing.assert_array_equal(result, x)
    assert peak < 4 * x.nbytes


def test_computing_with_shapes_is_done_at_load(save_model: Callable[..., Path]) -> None:
    node = onnx.helper.make_node
    path = save_model(
        [
            node("Shape", ["x"], ["shape"]),
            node("Gather", ["shape", "zero"], ["batch"], axis=0),
            node("Unsqueeze", ["batch", "axes"], ["rows"]),
            node("Concat", ["rows", "rest"], ["goal"], axis=0),
            node("Reshape", ["x", "goal"], ["y"]),
        ],
        {"x": (np.float32, ["batch", 3, 4])},
        {"y": (np.float32, None)},
        {"zero": np.array(0), "axes": np.array([0]), "rest": np.array([-1])},
    )

    program = compile_graph(load(path), (1, 3, 4), "normal")

    assert [step.node.operator for step in program.steps] == ["Reshape"]
    assert run(program, np.ones((1, 3, 4), np.float32)).shape == (1, 12)


def test_a_split_without_sizes_is_cut_by_its_number_of_outputs(
    save_model: Callable[..., Path], reference: Callable[..., Any]
) -> None:
    node = onnx.helper.make_node
    path = save_model(
        [node("Split", ["x"], ["a", "b", "c"], axis=1), node("Sub", ["a", "c"], ["y"])],
        {"x": (np.float32, [1, 6])},
        {"y": (np.float32, [1, 2])},
        opset=13,
    )
    x = np.arange(6, dtype=np.float32)[None]

    result = run(compile_graph(load(path), (1, 6), "normal"), x)

    np.testing.assert_array_equal(result, reference(path, {"x": x})[0])


@pytest.mark.parametrize("memory", ["normal", "low"])
def test_a_missing_operator_is_named_at_load(save_model: Callable[..., Path], memory: Literal["normal", "low"]) -> None:
    nodes = [
        onnx.helper.make_node("Abs", ["x"], ["a"]),
        onnx.helper.make_node("Hardmax", ["a"], ["y"], name="the last layer"),
    ]
    path = save_model(nodes, {"x": (np.float32, [1])}, {"y": (np.float32, [1])})

    with pytest.raises(BadInput, match=r"needs the operator Hardmax \(node 'the last layer'\), which the numpy"):
        compile_graph(load(path), (1,), memory)


def test_an_operator_that_the_answer_does_not_need_may_be_missing(save_model: Callable[..., Path]) -> None:
    nodes = [onnx.helper.make_node("Hardmax", ["x"], ["z"]), onnx.helper.make_node("Abs", ["x"], ["y"])]
    path = save_model(nodes, {"x": (np.float32, [1])}, {"y": (np.float32, [1])})

    assert run(compile_graph(load(path), (1,), "normal"), np.full(1, -2, np.float32)) == 2
