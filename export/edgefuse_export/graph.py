"""ONNX graphs made small and plain: cut, fixed to one size, folded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgefuse_export.sources import importable
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.onnx.with_onnxruntime import errors_of, first_line

EXTRA = "export"
MAX_BYTES = 2**31 - 1
"""The most that one protobuf message, hence one ONNX file, can hold."""


def load_graph(file: Path) -> Any:
    """Read and check an ONNX model (onnx.ModelProto).

    Raises:
        BadInput: not an ONNX file, damaged, over 2 GB, or its weights are not finite.
    """
    onnx = importable("onnx", EXTRA)
    message = importable("google.protobuf.message", EXTRA)
    try:
        model = onnx.load(file)
        if model.ByteSize() > MAX_BYTES:
            raise BadInput(f"{file} is larger than 2 GB, which one ONNX file cannot be; give a smaller encoder.")
        onnx.checker.check_model(model)
    except (message.DecodeError, onnx.checker.ValidationError, OSError, ValueError) as error:
        raise BadInput(f"{file} is not a valid ONNX file ({first_line(error)}); export or fetch it again.") from error
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and not np.isfinite(onnx.numpy_helper.to_array(tensor)).all():
            raise BadInput(
                f"{file} has values that are not finite in {tensor.name!r}; the encoder is damaged, fetch it again."
            )
    return model


def cut_backbone(onnx_file: Path, target: Path) -> Path:
    """Write to `target` the part of a graph up to its DINOv2 backbone's final layer norm.

    Args:
        onnx_file: a graph whose nodes keep the module path `/backbone/layernorm/` of that norm.
        target: gets the same input and one output, the normed hidden states (1, tokens, d).

    Raises:
        BadInput: there is no such backbone in the graph.
    """
    onnx = importable("onnx", EXTRA)
    model = load_graph(onnx_file)
    norm = [node for node in model.graph.node if node.name.startswith("/backbone/layernorm/")]
    if not norm:
        raise BadInput(f"{onnx_file} holds no DINOv2 backbone (no node /backbone/layernorm/); give another file.")
    norm[-1].output[0], old = "last_hidden_state", norm[-1].output[0]
    needed, kept = {"last_hidden_state"}, []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    if old in needed:
        raise BadInput(f"The layer norm of {onnx_file} feeds itself; give another file.")
    weights = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    output = onnx.helper.make_tensor_value_info(
        "last_hidden_state", onnx.TensorProto.FLOAT, ["batch", "tokens", "width"]
    )
    graph = onnx.helper.make_graph(kept[::-1], "backbone", model.graph.input, [output], weights)
    onnx.save(onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version), target)
    return target


def fold(source: Path, target: Path, side: int) -> int:
    """Write the graph of `source` for one picture (1, 3, side, side), constants computed; gives its opset.

    Shapes and the position table become constants, and only operators of the ONNX standard remain
    (onnxruntime's "basic" graph optimisation, which does not depend on the processor).

    Raises:
        BadInput: the graph does not take one such picture, or uses operators outside the standard.
    """
    onnx, ort = importable("onnx", EXTRA), importable("onnxruntime", EXTRA)
    model = load_graph(source)
    fix_input(model, side, source)
    keep_one_output(model, source)
    fixed = target.with_suffix(".fixed.onnx")
    onnx.save(model, fixed)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 4
    try:
        # MatMulAddFusion would put two reshapes around every Gemm, and quantise one input thrice.
        session = ort.InferenceSession(
            fixed, options, providers=["CPUExecutionProvider"], disabled_optimizers=["MatMulAddFusion"]
        )
        (output,) = session.run(None, {session.get_inputs()[0].name: np.zeros((1, 3, side, side), np.float32)})
    except errors_of(ort) as error:
        raise BadInput(
            f"{source} does not run on one picture of {side}x{side} pixels ({first_line(error)}); "
            "give an image encoder for this size."
        ) from error
    finally:
        fixed.unlink(missing_ok=True)
    folded = onnx.load(target)
    foreign = sorted(
        {f"{node.domain}.{node.op_type}" for node in folded.graph.node if node.domain not in ("", "ai.onnx")}
    )
    if foreign:
        raise BadInput(f"{source} uses operators outside the ONNX standard: {', '.join(foreign)}; export it again.")
    opset: int = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    del folded.graph.output[:]
    folded.graph.output.append(
        onnx.helper.make_tensor_value_info(model.graph.output[0].name, onnx.TensorProto.FLOAT, output.shape)
    )
    del folded.opset_import[:]
    folded.opset_import.append(onnx.helper.make_opsetid("", opset))
    onnx.save(folded, target)
    return opset


def fix_input(model: Any, side: int, name: Path) -> None:
    """Set the shape of the only input to (1, 3, side, side), in place; shapes derived from it are forgotten.

    Raises:
        BadInput: there are other inputs, or this one is no float32 picture of that size.
    """
    onnx = importable("onnx", EXTRA)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs)
        raise BadInput(f"{name} takes {len(inputs)} inputs ({names}), an image encoder takes one; give another file.")
    tensor = inputs[0].type.tensor_type
    wanted, shape = (1, 3, side, side), tensor.shape.dim
    fits = len(shape) == 4 and all(dim.dim_value in (0, size) for dim, size in zip(shape, wanted, strict=True))
    if not fits or tensor.elem_type != onnx.TensorProto.FLOAT:
        has = " x ".join(str(dim.dim_value or dim.dim_param or "?") for dim in shape)
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        raise BadInput(
            f"{name} takes a {kind} input of shape {has}, and a float picture of shape "
            f"{' x '.join(map(str, wanted))} was expected; give another file or its preprocessor_config.json."
        )
    for dim, size in zip(shape, wanted, strict=True):
        dim.dim_value = size
    del model.graph.value_info[:]


def keep_one_output(model: Any, name: Path) -> None:
    """Leave the output `last_hidden_state` or else the only one, in place, its shape to be found out anew.

    Raises:
        BadInput: there are several outputs, and none has that name.
    """
    outputs = list(model.graph.output)
    kept = [output for output in outputs if output.name == "last_hidden_state"] or outputs
    if len(kept) != 1:
        names = ", ".join(output.name for output in outputs)
        raise BadInput(f"{name} gives several outputs ({names}), none of them last_hidden_state; keep only one.")
    del model.graph.output[:]
    model.graph.output.append(kept[0])
    model.graph.output[0].type.tensor_type.ClearField("shape")


def output_shape(file: Path) -> tuple[int, ...]:
    """Shape of the output of a folded graph."""
    onnx = importable("onnx", EXTRA)
    (output,) = onnx.load(file).graph.output
    return tuple(dim.dim_value for dim in output.type.tensor_type.shape.dim)
