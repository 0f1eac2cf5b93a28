"""The table of all operators that the numpy engine has, and the check that a model needs no other."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgefuse_runtimes.onnx import algebra, elementwise, layout, quantized
from edgefuse_runtimes.onnx.buffers import Take, new_array
from edgefuse_runtimes.onnx.fused import DOMAIN, FUSED
from edgefuse_runtimes.onnx.graph import Node
from edgefuse_runtimes.onnx.resize import resize
from edgefuse_runtimes.onnx.tensor import Array

Operator = Callable[..., Array | tuple[Array, ...]]
"""A pure function: inputs by position (None for one left out), attributes by name. No input is changed."""


def _unary(function: Callable[..., Any]) -> Operator:
    def operator(x: Array) -> Array:
        return np.asarray(function(x))

    return operator


def _binary(function: Callable[..., Any]) -> Operator:
    def operator(a: Array, b: Array) -> Array:
        return np.asarray(function(a, b))

    return operator


def _variadic(function: Callable[..., Any]) -> Operator:
    def operator(first: Array, *others: Array) -> Array:
        result = first
        for other in others:
            result = function(result, other)
        return np.asarray(result)

    return operator


OPERATORS: Mapping[tuple[str, str], Operator] = {
    ("", "Abs"): _unary(np.abs),
    ("", "Add"): _binary(np.add),
    ("", "And"): _binary(np.logical_and),
    ("", "ArgMax"): layout.arg_max,
    ("", "BatchNormalization"): algebra.batch_normalization,
    ("", "Cast"): elementwise.cast,
    ("", "Ceil"): _unary(np.ceil),
    ("", "Clip"): elementwise.clip,
    ("", "Concat"): layout.concat,
    ("", "Constant"): layout.constant,
    ("", "ConstantOfShape"): layout.constant_of_shape,
    ("", "Conv"): algebra.convolution,
    ("", "ConvTranspose"): algebra.transposed_convolution,
    ("", "Cos"): _unary(np.cos),
    ("", "DequantizeLinear"): quantized.dequantize_linear,
    ("", "Div"): elementwise.divide,
    ("", "DynamicQuantizeLinear"): quantized.dynamic_quantize_linear,
    ("", "Equal"): _binary(np.equal),
    ("", "Erf"): elementwise.erf,
    ("", "Exp"): _unary(np.exp),
    ("", "Expand"): layout.expand,
    ("", "Flatten"): layout.flatten,
    ("", "Floor"): _unary(np.floor),
    ("", "Gather"): layout.gather,
    ("", "Gelu"): elementwise.gelu,
    ("", "Gemm"): algebra.gemm,
    ("", "Greater"): _binary(np.greater),
    ("", "GreaterOrEqual"): _binary(np.greater_equal),
    ("", "Identity"): _unary(np.asarray),
    ("", "IsNaN"): _unary(np.isnan),
    ("", "LayerNormalization"): algebra.layer_normalization,
    ("", "Less"): _binary(np.less),
    ("", "LessOrEqual"): _binary(np.less_equal),
    ("", "Log"): _unary(np.log),
    ("", "MatMul"): algebra.matmul,
    ("", "MatMulInteger"): quantized.matmul_integer,
    ("", "Max"): _variadic(np.maximum),
    ("", "Min"): _variadic(np.minimum),
    ("", "Mul"): _binary(np.multiply),
    ("", "Neg"): _unary(np.negative),
    ("", "Not"): _unary(np.logical_not),
    ("", "Or"): _binary(np.logical_or),
    ("", "Pow"): elementwise.power,
    ("", "QuantizeLinear"): quantized.quantize_linear,
    ("", "Range"): layout.value_range,
    ("", "Reciprocal"): _unary(np.reciprocal),
    ("", "ReduceL2"): algebra.reduction(algebra.l2_norm),
    ("", "ReduceMax"): algebra.reduction(np.max),
    ("", "ReduceMean"): algebra.reduction(np.mean),
    ("", "ReduceMin"): algebra.reduction(np.min),
    ("", "ReduceProd"): algebra.reduction(np.prod),
    ("", "ReduceSum"): algebra.reduction(np.sum),
    ("", "Relu"): elementwise.relu,
    ("", "Reshape"): layout.reshape,
    ("", "Resize"): resize,
    ("", "Shape"): layout.shape_of,
    ("", "Sigmoid"): elementwise.sigmoid,
    ("", "Sin"): _unary(np.sin),
    ("", "Slice"): layout.cut,
    ("", "Softmax"): algebra.softmax,
    ("", "Split"): layout.split,
    ("", "Sqrt"): _unary(np.sqrt),
    ("", "Squeeze"): layout.squeeze,
    ("", "Sub"): _binary(np.subtract),
    ("", "Tanh"): _unary(np.tanh),
    ("", "Tile"): layout.tile,
    ("", "Transpose"): layout.transpose,
    ("", "Trilu"): layout.triangle,
    ("", "Unsqueeze"): layout.unsqueeze,
    ("", "Where"): elementwise.where,
    ("com.microsoft", "Gelu"): elementwise.gelu,
}
"""(domain, name) -> function."""

ONLY: Mapping[tuple[str, str], tuple[Any, ...]] = {
    ("BatchNormalization", "training_mode"): (0,),
    ("Conv", "auto_pad"): ("NOTSET", "VALID"),
    ("Conv", "group"): (1,),
    ("ConvTranspose", "auto_pad"): ("NOTSET", "VALID"),
    ("ConvTranspose", "group"): (1,),
    ("DequantizeLinear", "block_size"): (0,),
    ("Gelu", "approximate"): ("none", "tanh"),
    ("LayerNormalization", "stash_type"): (1,),
    ("QuantizeLinear", "saturate"): (1,),
    ("Resize", "antialias"): (0,),
    ("Resize", "coordinate_transformation_mode"): (
        "half_pixel",
        "pytorch_half_pixel",
        "align_corners",
        "asymmetric",
    ),
    ("Resize", "exclude_outside"): (0,),
    ("Resize", "keep_aspect_ratio_policy"): ("stretch",),
    ("Resize", "mode"): ("nearest", "linear", "cubic"),
}
"""(operator, attribute) -> the values that are known, where not every one is."""


def unsupported(node: Node) -> str | None:
    """Why the engine cannot run a node, as a part of a sentence; None when it can."""
    operator = OPERATORS.get((node.domain, node.operator))
    if operator is None:
        return f"the operator {node}"
    try:
        inspect.signature(operator).bind(*node.inputs, **node.attributes)
    except TypeError as error:
        return f"{node} as it stands ({error})"
    for name, value in node.attributes.items():
        known = ONLY.get((node.operator, name))
        if value is None or (known is not None and value not in known):
            return f"{node} with {name} = {value!r}"
    return None


def apply(node: Node, inputs: tuple[Array | None, ...], take: Take = new_array) -> tuple[Array, ...]:
    """The outputs of one node that `unsupported` found nothing against, or that `fuse` put in.

    Args:
        node: to be run.
        inputs: one for each that the node names; None for one left out.
        take: where fused nodes get their arrays from.

    Raises:
        ValueError: or another error of numpy: the inputs do not fit the operator.
    """
    if node.domain == DOMAIN:
        result = FUSED[node.operator](*inputs, **node.attributes, take=take)
    else:
        result = OPERATORS[node.domain, node.operator](*inputs, **node.attributes)
    return result if isinstance(result, tuple) else (result,)
