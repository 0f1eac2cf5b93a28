"""Fused chains: found where they are, left alone where they are not, and with the same result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgefuse_runtimes.onnx.fuse import fuse
from edgefuse_runtimes.onnx.graph import Node
from edgefuse_runtimes.onnx.simplify import run_node

pytestmark = pytest.mark.field

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


def computed(nodes: list[Node], constants: dict[str, np.ndarray], x: np.ndarray, **more: np.ndarray) -> np.ndarray:
    values = {**constants, "x": x, **more}
    for item in nodes:
        values.update(zip(item.outputs, run_node(item, values, Path("model.onnx")), strict=True))
    return values["y"]


def fused(nodes: list[Node], constants: dict[str, np.ndarray], keep: tuple[str, ...] = ("y",)) -> tuple:
    return fuse(nodes, constants, keep)


def test_gelu_becomes_one_step() -> None:
    x = RNG.normal(0, 3, (5, 7)).astype(np.float32)

    nodes, constants = fused(GELU, GELU_CONSTANTS)

    assert [item.operator for item in nodes] == ["Activation"]
    np.testing.assert_allclose(computed(nodes, constants, x), computed(GELU, GELU_CONSTANTS, x), atol=2e-6)


@pytest.mark.parametrize("name", ["root_2", "one", "half"])
def test_another_formula_with_erf_is_left_alone(name: str) -> None:
    constants = {**GELU_CONSTANTS, name: np.full((), 0.75, np.float32)}

    assert fused(GELU, constants)[0] == GELU


def test_gelu_is_left_alone_where_its_middle_is_used_elsewhere() -> None:
    nodes = [*GELU, node("Abs", "plus", "other")]

    assert [item.operator for item in fused(nodes, GELU_CONSTANTS, ("y", "other"))[0]].count("Activation") == 0


def test_a_quantised_linear_layer_becomes_two_steps_with_the_very_same_result() -> None:
    x = RNG.normal(1, 2, (9, 384)).astype(np.float32)

    nodes, constants = fused(LINEAR, LINEAR_CONSTANTS)

    assert [item.operator for item in nodes] == ["DynamicLevels", "Mul", "IntegerLinear"]
    np.testing.assert_array_equal(computed(nodes, constants, x), computed(LINEAR, LINEAR_CONSTANTS, x))


def test_a_layer_without_a_bias_is_fused_too() -> None:
    x = RNG.normal(1, 2, (9, 384)).astype(np.float32)
    without = [*LINEAR[:-2], replace(LINEAR[-2], outputs=("y",))]

    nodes, constants = fused(without, LINEAR_CONSTANTS)

    assert [item.operator for item in nodes] == ["DynamicLevels", "Mul", "IntegerLinear"]
    np.testing.assert_array_equal(computed(nodes, constants, x), computed(without, LINEAR_CONSTANTS, x))


@pytest.mark.parametrize(
    "changed",
    [
        {"weight_zero": np.ones(16, np.int8)},
        {"weight": LINEAR_CONSTANTS["weight"].astype(np.uint8), "weight_zero": np.zeros(16, np.uint8)},
    ],
)
def test_what_the_fused_layer_cannot_do_is_left_to_the_exact_integer_product(changed: dict) -> None:
    assert fused(LINEAR, {**LINEAR_CONSTANTS, **changed})[0] == LINEAR


def test_the_integer_product_stays_where_something_else_takes_it() -> None:
    nodes = [*LINEAR, node("Neg", "integers", "other")]

    operators = [item.operator for item in fused(nodes, LINEAR_CONSTANTS, ("y", "other"))[0]]

    assert "MatMulInteger" in operators


ROWS = {
    "weight": RNG.normal(0, 0.2, (24, 16)).astype(np.float32),
    "bias": RNG.normal(0, 1, 16).astype(np.float32),
    "balance": RNG.uniform(0.5, 2, 16).astype(np.float32),
}
FLOAT_LINEAR = [node("MatMul", "x weight", "product"), node("Add", "bias product", "sum")]


def test_what_follows_a_linear_layer_is_done_in_the_same_step() -> None:
    x, residual = RNG.normal(0, 1, (2, 5, 24)).astype(np.float32), RNG.normal(0, 1, (2, 5, 16)).astype(np.float32)
    nodes = [
        *FLOAT_LINEAR,
        node("Gelu", "sum", "active", approximate="none"),
        node("Mul", "active balance", "balanced"),
        node("Add", "residual balanced", "y"),
    ]

    [step], constants = fused(nodes, ROWS)

    assert (step.operator, step.attributes["then"]) == ("Linear", ("Add", "Gelu", "Mul", "Add"))
    expected = computed(nodes, ROWS, x, residual=residual)
    np.testing.assert_allclose(computed([step], constants, x, residual=residual), expected, atol=2e-6)


@pytest.mark.parametrize("shape", [(16,), (1, 16), (5, 1), (3, 1, 16), (2, 3, 5, 16)])
def test_a_sum_that_makes_the_result_larger_is_right_too(shape: tuple[int, ...]) -> None:
    x, residual = RNG.normal(0, 1, (5, 24)).astype(np.float32), RNG.normal(0, 1, shape).astype(np.float32)
    nodes = [*FLOAT_LINEAR, node("Add", "residual sum", "wide"), node("Gelu", "wide", "y")]

    [step], constants = fused(nodes, ROWS)

    result = computed([step], constants, x, residual=residual)
    np.testing.assert_allclose(result, computed(nodes, ROWS, x, residual=residual), atol=2e-6)


def test_of_two_layers_that_end_in_one_sum_each_keeps_its_own_part() -> None:
    x = RNG.normal(0, 1, (5, 24)).astype(np.float32)
    nodes = [
        *FLOAT_LINEAR,
        node("MatMul", "x second", "other_product"),
        node("Add", "other_product bias", "other_sum"),
        node("Add", "sum other_sum", "y"),
    ]
    constants = {**ROWS, "second": RNG.normal(0, 0.2, (24, 16)).astype(np.float32)}

    new_nodes, new_constants = fused(nodes, constants)

    assert [item.operator for item in new_nodes] == ["Linear", "Linear"]
    np.testing.assert_allclose(computed(new_nodes, new_constants, x), computed(nodes, constants, x), atol=2e-6)


@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("inputs", ["x weight", "x weight bias"])
def test_gemm_is_a_linear_layer(turned: int, inputs: str) -> None:
    x = RNG.normal(0, 1, (5, 24)).astype(np.float32)
    constants = {**ROWS, "weight": ROWS["weight"].T.copy() if turned else ROWS["weight"]}
    nodes = [node("Gemm", inputs, "z", transB=turned), node("Mul", "z balance", "y")]

    [step], new_constants = fused(nodes, constants)

    assert step.operator == "Linear"
    np.testing.assert_allclose(computed([step], new_constants, x), computed(nodes, constants, x), atol=2e-6)


def test_gemm_with_a_factor_is_left_alone() -> None:
    nodes = [node("Gemm", "x weight bias", "y", alpha=0.5)]

    assert fused(nodes, ROWS)[0] == nodes


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Sigmoid", "x", "gate"), node("Mul", "x gate", "y")],
        [node("Mul", "x factor", "scaled"), node("Sigmoid", "scaled", "gate"), node("Mul", "gate x", "y")],
    ],
)
def test_swish_becomes_one_step(nodes: list[Node]) -> None:
    x, constants = RNG.normal(0, 30, (5, 7)).astype(np.float32), {"factor": np.float32(1.702).reshape(())}

    new_nodes, new_constants = fused(nodes, constants)

    assert [item.attributes.get("then") for item in new_nodes] == [("Swish",)]
    np.testing.assert_allclose(computed(new_nodes, new_constants, x), computed(nodes, constants, x), atol=3e-6)


NORM = [
    node("ReduceMean", "x", "mean", axes=(-1,)),
    node("Sub", "x mean", "centred"),
    node("Pow", "centred two", "squares"),
    node("ReduceMean", "squares", "variance", axes=(-1,)),
    node("Add", "variance epsilon", "plus"),
    node("Sqrt", "plus", "root"),
    node("Div", "centred root", "normal"),
    node("Mul", "normal scale", "scaled"),
    node("Add", "scaled bias", "y"),
]
NORM_CONSTANTS = {
    "two": np.full((), 2, np.float32),
    "epsilon": np.full((), 1e-5, np.float32),
    "scale": ROWS["balance"],
    "bias": ROWS["bias"],
}


def test_a_norm_that_is_spelt_out_becomes_one_step() -> None:
    x = RNG.normal(2, 3, (2, 5, 16)).astype(np.float32)

    new_nodes, constants = fused(NORM, NORM_CONSTANTS)

    assert [item.operator for item in new_nodes] == ["LayerNorm"]
    np.testing.assert_allclose(computed(new_nodes, constants, x), computed(NORM, NORM_CONSTANTS, x), atol=2e-6)


@pytest.mark.parametrize("axes", [(1,), (-1, -2)])
def test_a_norm_over_other_axes_is_left_alone(axes: tuple[int, ...]) -> None:
    nodes = [replace(item, attributes={"axes": axes} if item.attributes else {}) for item in NORM]

    assert "LayerNorm" not in [item.operator for item in fused(nodes, NORM_CONSTANTS)[0]]


@pytest.mark.parametrize("mask", [(6, 6), (1, 1, 6, 6), (2, 1, 1, 6)])
def test_attention_becomes_one_step(mask: tuple[int, ...]) -> None:
    q, v = (RNG.normal(0, 1, (2, 3, 6, 4)).astype(np.float32) for _ in range(2))
    k = RNG.normal(0, 1, (2, 3, 4, 6)).astype(np.float32)
    constants = {"factor": np.float32(0.5).reshape(()), "mask": RNG.normal(0, 2, mask).astype(np.float32)}
    nodes = [
        node("MatMul", "x k", "scores"),
        node("Mul", "scores factor", "scaled"),
        node("Add", "scaled mask", "masked"),
        node("Softmax", "masked", "shares", axis=-1),
        node("MatMul", "shares v", "y"),
    ]

    [step], _ = fused(nodes, constants)

    assert (step.operator, step.attributes["then"]) == ("Attention", ("Mul", "Add"))
    expected = computed(nodes, constants, q, k=k, v=v)
    np.testing.assert_allclose(computed([step], constants, q, k=k, v=v), expected, atol=2e-6)


@pytest.mark.parametrize("width", [4, 300])
def test_attention_on_integers_takes_them_as_floats_from_the_rounding_on(width: int) -> None:
    q, k, v = (RNG.normal(0, 1, (1, 6, 3, width)).astype(np.float32) for _ in range(3))
    constants = {
        "step": np.float32(0.02).reshape(()),
        "factor": np.float32(0.02 * width**-0.5).reshape(()),
        "none": np.zeros((), np.int8),
    }
    nodes = [
        node("DynamicQuantizeLinear", "x", "q scale zero"),
        node("Mul", "scale factor", "scales"),
        node("QuantizeLinear", "k step none", "levels"),
        node("Transpose", "q", "queries", perm=(0, 2, 1, 3)),
        node("Transpose", "levels", "keys", perm=(0, 2, 3, 1)),
        node("Transpose", "v", "values", perm=(0, 2, 1, 3)),
        node("MatMulInteger", "queries keys zero", "integers"),
        node("Cast", "integers", "scores", to=1),
        node("Mul", "scores scales", "scaled"),
        node("Softmax", "scaled", "shares", axis=-1),
        node("MatMul", "shares values", "y"),
    ]

    new_nodes, _ = fused(nodes, constants)

    assert {item.operator for item in new_nodes} == {"DynamicLevels", "Levels", "Mul", "Transpose", "IntegerAttention"}
    expected = computed(nodes, constants, q, k=k, v=v)
    np.testing.assert_allclose(computed(new_nodes, constants, q, k=k, v=v), expected, atol=2e-6)


PIXELS = [
    node("QuantizeLinear", "x step none", "pixels", axis=1),
    node("Reshape", "pixels shape", "rows"),
    node("MatMulInteger", "rows weight", "integers"),
    node("Cast", "integers", "floats", to=1),
    node("Mul", "floats weight_scale", "scaled"),
    node("Add", "scaled bias", "y"),
]
PIXEL_CONSTANTS = {
    **LINEAR_CONSTANTS,
    "step": np.full(3, 1 / 255, np.float32),
    "none": np.zeros(3, np.uint8),
    "shape": np.array([2, 384]),
}


def test_a_product_of_pixels_is_a_linear_layer_with_the_very_same_result() -> None:
    x = RNG.uniform(0, 1, (2, 3, 128)).astype(np.float32)

    nodes, constants = fused(PIXELS, PIXEL_CONSTANTS)

    assert [item.operator for item in nodes] == ["Levels", "Reshape", "IntegerLinear"]
    np.testing.assert_array_equal(computed(nodes, constants, x), computed(PIXELS, PIXEL_CONSTANTS, x))


def test_pixels_with_another_zero_point_than_the_product_takes_off_stay_integers() -> None:
    constants = {**PIXEL_CONSTANTS, "none": np.full(3, 7, np.uint8)}

    assert fused(PIXELS, constants)[0] == PIXELS


def test_shares_that_something_else_takes_stay() -> None:
    nodes = [
        node("MatMul", "x k", "scores"),
        node("Softmax", "scores", "shares", axis=-1),
        node("MatMul", "shares v", "y"),
    ]

    assert fused(nodes, {}, ("y", "shares"))[0] == nodes
