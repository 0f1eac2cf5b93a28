"""Fused chains: found where they are, left alone where they are not, and with the same result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgefuse_runtimes.onnx.fuse import fuse
from edgefuse_runtimes.onnx.graph import Node
from edgefuse_runtimes.onnx.simplify import drop_unused, run_node

RNG = np.random.default_rng(0)


def node(operator: str, inputs: str, outputs: str, **attributes: object) -> Node:
    return Node(operator, "", "", tuple(inputs.split()), tuple(outputs.split()), attributes)


GELU = [
    node("Div", "x root_2", "scaled"),
    node("Erf", "scaled", "erf"),
    node("Add", "erf one", "plus"),
    node("Mul", "x plus", "product"),
    node("Mul", "product half", "y"),
]
GELU_CONSTANTS = {
    "root_2": np.float32(np.sqrt(2)).reshape(()),
    "one": np.ones((), np.float32),
    "half": np.full((), 0.5, np.float32),
}

LINEAR = [
    node("DynamicQuantizeLinear", "x", "q scale zero"),
    node("Mul", "scale weight_scale", "scales"),
    node("MatMulInteger", "q weight zero weight_zero", "integers"),
    node("Cast", "integers", "floats", to=1),
    node("Mul", "floats scales", "product"),
    node("Add", "product bias", "y"),
]
LINEAR_CONSTANTS = {
    "weight": np.clip(np.rint(RNG.normal(0, 40, (384, 16))), -127, 127).astype(np.int8),
    "weight_scale": RNG.uniform(0.001, 0.01, 16).astype(np.float32),
    "weight_zero": np.zeros(16, np.int8),
    "bias": RNG.normal(0, 1, 16).astype(np.float32),
}


def computed(nodes: list[Node], constants: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    values = {**constants, "x": x}
    for item in nodes:
        values.update(zip(item.outputs, run_node(item, values, Path("model.onnx")), strict=True))
    return values["y"]


def fused(nodes: list[Node], constants: dict[str, np.ndarray], keep: tuple[str, ...] = ("y",)) -> tuple:
    new_nodes, new_constants = fuse(nodes, constants, keep)
    return drop_unused(new_nodes, keep), new_constants


def test_gelu_becomes_one_step() -> None:
    x = RNG.normal(0, 3, (5, 7)).astype(np.float32)

    nodes, constants = fused(GELU, GELU_CONSTANTS)

    assert [item.operator for item in nodes] == ["Gelu"]
    np.testing.assert_allclose(computed(nodes, constants, x), computed(GELU, GELU_CONSTANTS, x), atol=2e-6)


@pytest.mark.parametrize("name", ["root_2", "one", "half"])
def test_another_formula_with_erf_is_left_alone(name: str) -> None:
    constants = {**GELU_CONSTANTS, name: np.full((), 0.75, np.float32)}

    assert fused(GELU, constants)[0] == GELU


def test_gelu_is_left_alone_where_its_middle_is_used_elsewhere() -> None:
    nodes = [*GELU, node("Abs", "plus", "other")]

    assert [item.operator for item in fused(nodes, GELU_CONSTANTS, ("y", "other"))[0]].count("Gelu") == 0


def test_a_quantised_linear_layer_becomes_two_steps_with_the_very_same_result() -> None:
    x = RNG.normal(1, 2, (9, 384)).astype(np.float32)

    nodes, constants = fused(LINEAR, LINEAR_CONSTANTS)

    assert [item.operator for item in nodes] == ["CentredQuantize", "QuantizedLinear"]
    np.testing.assert_array_equal(computed(nodes, constants, x), computed(LINEAR, LINEAR_CONSTANTS, x))


def test_a_layer_without_a_bias_is_fused_too() -> None:
    x = RNG.normal(1, 2, (9, 384)).astype(np.float32)
    without = [*LINEAR[:-2], replace(LINEAR[-2], outputs=("y",))]

    nodes, constants = fused(without, LINEAR_CONSTANTS)

    assert [item.operator for item in nodes] == ["CentredQuantize", "QuantizedLinear"]
    np.testing.assert_array_equal(computed(nodes, constants, x), computed(without, LINEAR_CONSTANTS, x))


@pytest.mark.parametrize(
    "changed",
    [
        {"weight_zero": np.ones(16, np.int8)},
        {"weight": LINEAR_CONSTANTS["weight"].astype(np.uint8), "weight_zero": np.zeros(16, np.uint8)},
        {"weight_scale": np.full((1, 1, 16), 0.01, np.float32)},
    ],
)
def test_what_the_fused_layer_cannot_do_is_left_to_the_exact_integer_product(changed: dict) -> None:
    assert fused(LINEAR, {**LINEAR_CONSTANTS, **changed})[0] == LINEAR


def test_the_integer_product_stays_where_something_else_takes_it() -> None:
    nodes = [*LINEAR, node("Neg", "integers", "other")]

    operators = [item.operator for item in fused(nodes, LINEAR_CONSTANTS, ("y", "other"))[0]]

    assert "MatMulInteger" in operators
