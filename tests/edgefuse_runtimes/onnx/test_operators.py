"""Every operator against onnxruntime, as a model of one node on random inputs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgefuse_runtimes.onnx.graph import load
from edgefuse_runtimes.onnx.operators import OPERATORS, apply, unsupported
from edgefuse_runtimes.onnx.simplify import run_node

RNG = np.random.default_rng(0)
X = RNG.normal(0, 2, (2, 3, 4)).astype(np.float32)
Y = RNG.normal(0, 2, (3, 1)).astype(np.float32)
P = np.abs(X) + np.float32(0.1)
I = RNG.integers(-9, 9, (2, 3)).astype(np.int64)  # noqa: E741
B = X > 0
PICTURE = RNG.normal(0, 1, (2, 3, 9, 8)).astype(np.float32)
U8 = RNG.integers(0, 256, (5, 40)).astype(np.uint8)
S8 = RNG.integers(-128, 128, (40, 6)).astype(np.int8)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def f32(*shape: int) -> np.ndarray:
    return RNG.normal(0, 1, shape).astype(np.float32)


def scalar(value: float, dtype: Any = np.float32) -> np.ndarray:
    return np.array(value, dtype)


Case = tuple[str, Sequence[np.ndarray | None], dict[str, Any]]

CASES: list[Case] = [
    ("Abs", [X], {}),
    ("Add", [X, Y], {}),
    ("And", [B, B[:, :1]], {}),
    ("ArgMax", [I], {"axis": 1, "keepdims": 0}),
    ("ArgMax", [ints(3, 9, 9, 1)], {"axis": -1, "select_last_index": 1}),
    ("BatchNormalization", [PICTURE, f32(3), f32(3), f32(3), np.abs(f32(3))], {"epsilon": 1e-3}),
    ("Cast", [X], {"to": onnx.TensorProto.INT64}),
    ("Cast", [I], {"to": onnx.TensorProto.FLOAT}),
    ("Cast", [I], {"to": onnx.TensorProto.BOOL}),
    ("Ceil", [X], {}),
    ("Clip", [X, scalar(-1), scalar(1)], {}),
    ("Clip", [X, None, scalar(1)], {}),
    ("Concat", [X, X[:, :1]], {"axis": -2}),
    ("Constant", [], {"value": onnx.numpy_helper.from_array(X)}),
    ("Constant", [], {"value_float": 0.5}),
    ("Constant", [], {"value_floats": [0.5, 1.0]}),
    ("Constant", [], {"value_int": 3}),
    ("Constant", [], {"value_ints": [3, 4]}),
    ("ConstantOfShape", [ints(2, 3)], {}),
    ("ConstantOfShape", [ints(2)], {"value": onnx.numpy_helper.from_array(ints(7))}),
    ("Conv", [PICTURE, f32(5, 3, 3, 2), f32(5)], {"strides": [2, 3]}),
    ("Conv", [PICTURE, f32(5, 3, 3, 3)], {"pads": [1, 0, 2, 1], "dilations": [2, 2]}),
    ("Conv", [PICTURE, f32(4, 3, 1, 1), f32(4)], {"kernel_shape": [1, 1], "auto_pad": "VALID"}),
    ("ConvTranspose", [PICTURE, f32(3, 5, 4, 4), f32(5)], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ("ConvTranspose", [PICTURE, f32(3, 5, 2, 3)], {"strides": [3, 2], "output_padding": [1, 0]}),
    ("Cos", [X], {}),
    ("DequantizeLinear", [S8, scalar(0.1)], {}),
    ("DequantizeLinear", [S8, P[0, 0, :1].repeat(6), np.arange(6, dtype=np.int8)], {"axis": 1}),
    ("Div", [X, P], {}),
    ("Div", [I, ints(3, -2, 5)], {}),
    ("DynamicQuantizeLinear", [X], {}),
    ("DynamicQuantizeLinear", [P], {}),
    ("DynamicQuantizeLinear", [-P], {}),
    ("DynamicQuantizeLinear", [X * 0], {}),
    ("Equal", [I, I[:1]], {}),
    ("Erf", [X], {}),
    ("Exp", [X], {}),
    ("Expand", [Y, ints(2, 1, 4)], {}),
    ("Flatten", [X], {}),
    ("Flatten", [X], {"axis": 0}),
    ("Flatten", [X], {"axis": -1}),
    ("Floor", [X], {}),
    ("Gather", [X, I % 3], {"axis": 1}),
    ("Gather", [X, scalar(-1, np.int64)], {"axis": 2}),
    ("Gelu", [X], {}),
    ("Gelu", [X], {"approximate": "tanh"}),
    ("Gemm", [f32(3, 4), f32(4, 5), f32(5)], {}),
    ("Gemm", [f32(4, 3), f32(5, 4), f32(3, 1)], {"alpha": 0.5, "beta": 2.0, "transA": 1, "transB": 1}),
    ("Greater", [X, Y], {}),
    ("GreaterOrEqual", [I, I[:1]], {}),
    ("Identity", [X], {}),
    ("IsNaN", [np.array([1, np.nan], np.float32)], {}),
    ("LayerNormalization", [X, f32(4), f32(4)], {"epsilon": 1e-6}),
    ("LayerNormalization", [X, f32(3, 4)], {"axis": 1}),
    ("Less", [X, Y], {}),
    ("LessOrEqual", [I, I[:1]], {}),
    ("Log", [P], {}),
    ("MatMul", [X, f32(4, 5)], {}),
    ("MatMul", [f32(2, 3, 4), f32(2, 4, 5)], {}),
    ("QuantizeLinear", [X, scalar(0.07, np.float32)], {}),
    ("QuantizeLinear", [X, scalar(0.01, np.float32), scalar(3, np.int8)], {}),
    ("QuantizeLinear", [P, np.array([0.1, 0.2, 0.3, 0.4], np.float32), np.array([1, 2, 3, 4], np.uint8)], {"axis": -1}),
    ("MatMulInteger", [U8, S8], {}),
    ("MatMulInteger", [U8, S8, scalar(131, np.uint8), scalar(-3, np.int8)], {}),
    ("MatMulInteger", [U8, S8, scalar(0, np.uint8), np.arange(6, dtype=np.int8)], {}),
    ("Max", [X, Y, -X], {}),
    ("Min", [X, Y], {}),
    ("Mul", [X, Y], {}),
    ("Neg", [X], {}),
    ("Not", [B], {}),
    ("Or", [B, ~B[:, :1]], {}),
    ("Pow", [X, scalar(2)], {}),
    ("Pow", [P, scalar(0.5)], {}),
    ("Pow", [P, Y], {}),
    ("Pow", [I, scalar(3, np.int64)], {}),
    ("Range", [scalar(1, np.int64), scalar(8, np.int64), scalar(3, np.int64)], {}),
    ("Reciprocal", [P], {}),
    ("ReduceL2", [X, ints(-1)], {"keepdims": 1}),
    ("ReduceMax", [X, ints(0, 2)], {"keepdims": 0}),
    ("ReduceMean", [X, ints(-1)], {}),
    ("ReduceMean", [X], {}),
    ("ReduceMean", [X], {"noop_with_empty_axes": 1}),
    ("ReduceMin", [X, ints(1)], {}),
    ("ReduceProd", [I], {"keepdims": 0}),
    ("ReduceSum", [X, ints(1)], {"keepdims": 0}),
    ("Relu", [X], {}),
    ("Reshape", [X, ints(0, -1, 2)], {}),
    ("Reshape", [X[:0], ints(3, 0)], {"allowzero": 1}),
    ("Shape", [X], {}),
    ("Shape", [X], {"start": 1, "end": -1}),
    ("Sigmoid", [X * 20], {}),
    ("Sin", [X], {}),
    ("Slice", [X, ints(0, 1), ints(9, 3), ints(0, -1)], {}),
    ("Slice", [X, ints(-1), ints(-100), ints(2), ints(-2)], {}),
    ("Slice", [X, ints(1), ints(2**62)], {}),
    ("Softmax", [X], {}),
    ("Softmax", [X * 50], {"axis": 1}),
    ("Split", [X, ints(1, 3)], {"axis": 2}),
    ("Split", [X], {"axis": 1, "num_outputs": 2}),
    ("Sqrt", [P], {}),
    ("Squeeze", [X[:, :1], ints(1)], {}),
    ("Squeeze", [X[:1, :, :1]], {}),
    ("Sub", [X, Y], {}),
    ("Tanh", [X], {}),
    ("Tile", [X, ints(1, 2, 3)], {}),
    ("Transpose", [X], {}),
    ("Transpose", [X], {"perm": [1, 2, 0]}),
    ("Trilu", [X], {"upper": 0}),
    ("Trilu", [X, scalar(1, np.int64)], {"upper": 1}),
    ("Unsqueeze", [X, ints(0, -1)], {}),
    ("Where", [B, X, Y], {}),
]

RESIZE: list[Case] = [
    ("Resize", [PICTURE, None, None, ints(2, 3, height, width)], {"mode": mode, **attributes})
    for height, width in ((5, 16), (20, 3))
    for mode, attributes in (
        ("cubic", {"coordinate_transformation_mode": "half_pixel", "cubic_coeff_a": -0.75}),
        ("cubic", {"coordinate_transformation_mode": "pytorch_half_pixel", "cubic_coeff_a": -0.5}),
        ("linear", {"coordinate_transformation_mode": "half_pixel"}),
        ("linear", {"coordinate_transformation_mode": "align_corners"}),
        ("linear", {"coordinate_transformation_mode": "asymmetric"}),
        ("nearest", {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}),
        ("nearest", {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "ceil"}),
        ("nearest", {"nearest_mode": "round_prefer_floor"}),
        ("nearest", {"nearest_mode": "round_prefer_ceil"}),
    )
] + [("Resize", [PICTURE, None, np.array([1, 1, 1.5, 0.7], np.float32)], {"mode": "linear"})]

OLDER: list[tuple[Case, int]] = [
    (("ReduceMean", [X], {"axes": [1, 2], "keepdims": 0}), 14),
    (("Softmax", [X], {"axis": -1}), 13),
    (("Split", [X], {"axis": 0}), 13),
]


def one_node(save_model: Callable[..., Path], case: Case, opset: int, domain: str = "") -> Path:
    operator, arrays, attributes = case
    names = [f"in{i}" if array is not None else "" for i, array in enumerate(arrays)]
    count = {"DynamicQuantizeLinear": 3, "Split": 2}.get(operator, 1)
    outputs = [f"out{i}" for i in range(count)]
    node = onnx.helper.make_node(operator, names, outputs, domain=domain, name="the node", **attributes)
    inputs = {name: (array.dtype, array.shape) for name, array in zip(names, arrays, strict=True) if name}
    types = output_types(operator, arrays, node)
    return save_model([node], inputs, dict(zip(outputs, types, strict=True)), opset=opset)


def output_types(operator: str, arrays: Sequence[np.ndarray | None], node: Any) -> list[tuple[Any, None]]:
    """The types that ONNX gives the outputs; a model must name them."""
    if operator == "DynamicQuantizeLinear":
        return [(np.dtype(kind), None) for kind in (np.uint8, np.float32, np.uint8)]
    boolean = {"And", "Equal", "Greater", "GreaterOrEqual", "IsNaN", "Less", "LessOrEqual", "Not", "Or"}
    fixed = {"ArgMax": np.int64, "Shape": np.int64, "MatMulInteger": np.int32, "DequantizeLinear": np.float32}
    first = next((array.dtype for array in arrays if array is not None), np.dtype(np.float32))
    if operator == "Where":
        first = arrays[1].dtype
    if operator == "QuantizeLinear":
        first = arrays[2].dtype if len(arrays) > 2 else np.dtype(np.uint8)
    if operator == "Cast":
        first = onnx.helper.tensor_dtype_to_np_dtype(node.attribute[0].i)
    if operator.startswith("Constant"):
        [attribute] = node.attribute or [None]
        kinds = {"value_int": np.int64, "value_ints": np.int64}
        first = np.dtype(kinds.get(attribute.name, np.float32) if attribute else np.float32)
        if attribute and attribute.name == "value":
            first = onnx.helper.tensor_dtype_to_np_dtype(attribute.t.data_type)
    kind = np.dtype(bool) if operator in boolean else np.dtype(fixed.get(operator, first))
    return [(kind, None)] * len(node.output)


def agree(
    save_model: Callable[..., Path], reference: Callable[..., Any], case: Case, opset: int, domain: str = ""
) -> None:
    path = one_node(save_model, case, opset, domain)
    arrays = case[1]
    feeds = {f"in{i}": array for i, array in enumerate(arrays) if array is not None}
    copies = {name: array.copy() for name, array in feeds.items()}
    [node] = load(path).nodes
    if node.operator == "Split" and len(arrays) == 1:
        node = replace(node, attributes={**node.attributes, "num_outputs": 2})

    assert unsupported(node) is None
    results = run_node(node, feeds, path)

    for result, expected in zip(results, reference(path, feeds), strict=True):
        assert result.dtype == expected.dtype
        assert result.shape == expected.shape
        np.testing.assert_allclose(result, expected, rtol=2e-5, atol=2e-6)
    for name, array in feeds.items():
        np.testing.assert_array_equal(array, copies[name], err_msg="an input was changed")


def name_of(case: Any) -> str:
    return case[0] if isinstance(case, tuple) and isinstance(case[0], str) else ""


@pytest.mark.parametrize("case", CASES + RESIZE, ids=name_of)
def test_an_operator_gives_what_onnxruntime_gives(
    save_model: Callable[..., Path], reference: Callable[..., Any], case: Case
) -> None:
    agree(save_model, reference, case, opset=20 if case[0] == "Gelu" else 18)


@pytest.mark.parametrize(("case", "opset"), OLDER, ids=name_of)
def test_an_operator_of_an_older_set_too(
    save_model: Callable[..., Path], reference: Callable[..., Any], case: Case, opset: int
) -> None:
    agree(save_model, reference, case, opset)


def test_the_gelu_that_onnxruntime_writes_into_optimised_files(
    save_model: Callable[..., Path], reference: Callable[..., Any]
) -> None:
    agree(save_model, reference, ("Gelu", [X], {}), opset=18, domain="com.microsoft")


def test_no_operator_is_untested() -> None:
    tested = {case[0] for case in CASES + RESIZE}

    assert {name for domain, name in OPERATORS if domain == ""} == tested


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes", "reason"),
    [
        ("NonMaxSuppression", 2, {}, r"the operator NonMaxSuppression \(node 'the node'\)"),
        ("Resize", 1, {"antialias": 1}, "Resize .* with antialias = 1"),
        ("Conv", 2, {"group": 2}, "Conv .* with group = 2"),
        ("Softmax", 1, {"temperature": 2.0}, "Softmax .* as it stands .*temperature"),
        ("Add", 3, {}, "Add .* as it stands"),
    ],
)
def test_what_is_missing_is_named_with_its_node(
    save_model: Callable[..., Path], operator: str, inputs: int, attributes: dict[str, Any], reason: str
) -> None:
    names = [f"in{i}" for i in range(inputs)]
    node = onnx.helper.make_node(operator, names, ["out"], name="the node", **attributes)
    path = save_model([node], {name: (np.float32, [1]) for name in names}, {"out": (np.float32, None)})

    sentence = unsupported(load(path).nodes[0])

    assert re.search(reason, sentence or "")


def test_apply_gives_a_tuple_for_one_output_too(save_model: Callable[..., Path]) -> None:
    node = onnx.helper.make_node("Neg", ["x"], ["y"])
    path = save_model([node], {"x": (np.float32, [1])}, {"y": (np.float32, [1])})

    [result] = apply(load(path).nodes[0], (np.ones(1, np.float32),))

    assert result == -1
