"""Folding, merging and dropping nodes, on graphs small enough to read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.onnx.graph import Node
from edgefuse_runtimes.onnx.simplify import drop_unused, fold, merge_equal, run_node

pytestmark = pytest.mark.field

PATH = Path("model.onnx")
ZEROS = {"x": np.zeros((2, 3), np.float32)}


def node(operator: str, inputs: str, outputs: str, **attributes: object) -> Node:
    return Node(operator, "", "", tuple(inputs.split()), tuple(outputs.split()), attributes)


def test_what_depends_on_constants_alone_is_computed_once() -> None:
    nodes = [node("Add", "a a", "b"), node("Mul", "b b", "c"), node("Add", "x c", "y")]

    kept, constants = fold(nodes, {"a": np.float32(2).reshape(())}, ZEROS, PATH)

    assert kept == [nodes[2]]
    assert constants["c"] == 16


def test_shapes_become_constants_and_nothing_else_does() -> None:
    nodes = [
        node("Transpose", "x", "t"),
        node("MatMul", "x t", "m"),
        node("Shape", "m", "s"),
        node("Reshape", "t s", "r"),
    ]

    kept, constants = fold(nodes, {}, ZEROS, PATH)

    assert [item.operator for item in kept] == ["Transpose", "MatMul", "Reshape"]
    np.testing.assert_array_equal(constants["s"], [2, 2])


def test_a_shape_that_depends_on_values_is_left_to_the_run() -> None:
    nodes = [
        node("Cast", "x", "i", to=7),
        node("Reshape", "i flat", "f"),
        node("Expand", "one f", "e"),
        node("Shape", "e", "s"),
    ]

    kept, constants = fold(nodes, {"one": np.ones(1), "flat": np.array([-1])}, ZEROS, PATH)

    assert kept == nodes
    assert "s" not in constants


def test_equal_nodes_are_merged_also_where_only_their_constants_are_equal() -> None:
    nodes = [
        node("Reshape", "x shape", "a"),
        node("Reshape", "x same_shape", "b"),
        node("Reshape", "x other_shape", "c"),
        node("Abs", "a", "d"),
        node("Abs", "b", "e"),
        node("Add", "d e", "y"),
    ]
    constants = {"shape": np.array([6]), "same_shape": np.array([6]), "other_shape": np.array([3, 2])}

    merged = merge_equal(nodes, constants, ["y"])

    assert [(item.operator, item.inputs) for item in merged] == [
        ("Reshape", ("x", "shape")),
        ("Reshape", ("x", "other_shape")),
        ("Abs", ("a",)),
        ("Add", ("d", "d")),
    ]


def test_equal_nodes_with_other_attributes_or_for_the_output_stay() -> None:
    nodes = [
        node("Transpose", "x", "a", perm=(0, 1)),
        node("Transpose", "x", "b", perm=(1, 0)),
        node("Transpose", "x", "y", perm=(1, 0)),
    ]

    assert merge_equal(nodes, {}, ["y"]) == nodes


def test_nodes_that_the_output_does_not_need_are_dropped() -> None:
    nodes = [node("Abs", "x", "a"), node("Neg", "x", "unused"), node("Abs", "a", "y")]

    assert drop_unused(nodes, ["y"]) == [nodes[0], nodes[2]]


@pytest.mark.parametrize(
    ("broken", "values"),
    [
        (node("Add", "a b", "y"), {"a": np.ones(2), "b": np.ones(3)}),
        (node("Transpose", "a", "y", perm=(0, 7)), {"a": np.ones((2, 2))}),
        (node("Cast", "a", "y", to=99), {"a": np.ones(2)}),
        (node("Gather", "a b", "y"), {"a": np.ones(2), "b": np.array([5])}),
        (node("ConstantOfShape", "a", "y"), {"a": np.array([-1])}),
        (node("Tile", "a b", "y"), {"a": np.ones(1), "b": np.array([2**60])}),
    ],
)
def test_a_node_whose_inputs_do_not_fit_is_named(broken: Node, values: dict[str, np.ndarray]) -> None:
    with pytest.raises(BadInput, match=rf"model\.onnx cannot be run: {broken.operator} \(node 'y'\) fails"):
        run_node(broken, values, PATH)
