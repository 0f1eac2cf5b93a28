"""ONNX graphs made small and plain: cut, fixed to one size, folded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.extras import importable
from edgefuse_export.model_file import SMALL, data_path, is_large, save
from edgefuse_export.resources import session_options
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.onnx.with_onnxruntime import errors_of, first_line

EXTRA = "export"
_OPTIMIZED = "session.optimized_model_external_initializers"


def load_graph(file: Path) -> Any:
    """Read and check an ONNX model (onnx.ModelProto).

    Raises:
        BadInput: not an ONNX file, damaged, or its weights are not finite.
    """
    onnx = importable("onnx", EXTRA)
    message = importable("google.protobuf.message", EXTRA)
    try:
        model = onnx.load(file)
        onnx.checker.check_model(str(file) if is_large(model) else model)  # what is large is checked where it lies
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
    save(onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version), target)
    return target


@dataclass(frozen=True)
class _Sample:
    """What a graph is to take, one at a time."""

    kind: str
    """"picture" or "note"."""
    size: str
    """As a user knows it."""
    example: NDArray[Any]
    shape: tuple[int | str, ...]
    """Of the input; a name stands for a dimension that stays free."""
    remedy: str


def fold(source: Path, target: Path, side: int) -> int:
    """Write the graph of `source` for one picture (1, 3, side, side), constants computed; gives its opset.

    Shapes and the position table become constants, and only operators of the ONNX standard remain
    (onnxruntime's "basic" graph optimisation, which does not depend on the processor).

    Raises:
        BadInput: the graph does not take one such picture, or uses operators outside the standard.
    """
    shape = (1, 3, side, side)
    picture = _Sample(
        kind="picture",
        size=f"{side}x{side} pixels",
        example=np.zeros(shape, np.float32),
        shape=shape,
        remedy="give an image encoder for this size, or its preprocessor_config.json",
    )
    return _fold(source, target, picture)


def fold_for_notes(source: Path, target: Path, ids: NDArray[np.int64]) -> int:
    """Write the graph of `source` for one note (1, tokens) of any length, constants computed; gives its opset.

    Args:
        source: a graph that takes token ids.
        target: gets the folded graph.
        ids: a note to try it on, (t,).

    Raises:
        BadInput: the graph does not take one such note, or uses operators outside the standard.
    """
    note = _Sample("note", f"{len(ids)} tokens", ids[None], (1, "tokens"), "give a text encoder")
    return _fold(source, target, note)


def _fold(source: Path, target: Path, sample: _Sample) -> int:
    onnx, ort = importable("onnx", EXTRA), importable("onnxruntime", EXTRA)
    model = load_graph(source)
    fix_input(model, sample, source)
    keep_one_output(model, source)
    opsets: dict[str, int] = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    name = model.graph.output[0].name
    fixed = target.with_suffix(".fixed.onnx")
    options = session_options()
    if is_large(model):
        options.add_session_config_entry(f"{_OPTIMIZED}_file_name", data_path(target).name)
        options.add_session_config_entry(f"{_OPTIMIZED}_min_size_in_bytes", str(SMALL))
    save(model, fixed)
    del model  # it may be large, and the session holds it again
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    try:
        # MatMulAddFusion would put two reshapes around every Gemm, and quantise one input thrice.
        session = ort.InferenceSession(
            fixed, options, providers=["CPUExecutionProvider"], disabled_optimizers=["MatMulAddFusion"]
        )
        (output,) = session.run(None, {session.get_inputs()[0].name: sample.example})
        del session
    except errors_of(ort) as error:
        raise BadInput(
            f"{source} does not run on one {sample.kind} of {sample.size} ({first_line(error)}); {sample.remedy}."
        ) from error
    fixed.unlink()  # not where it failed: then the work folder must show whether the disk is full
    data_path(fixed).unlink(missing_ok=True)
    folded = onnx.load(target)
    foreign = sorted(
        {f"{node.domain}.{node.op_type}" for node in folded.graph.node if node.domain not in ("", "ai.onnx")}
    )
    if foreign:
        raise BadInput(f"{source} uses operators outside the ONNX standard: {', '.join(foreign)}; export it again.")
    is_free = "tokens" in sample.shape and output.ndim == 3
    del folded.graph.output[:]
    folded.graph.output.append(
        onnx.helper.make_tensor_value_info(
            name,
            onnx.TensorProto.FLOAT,
            [1, "tokens", output.shape[2]] if is_free else output.shape,
        )
    )
    del folded.opset_import[:]
    folded.opset_import.append(onnx.helper.make_opsetid("", opsets["ai.onnx"]))
    save(folded, target)
    return opsets["ai.onnx"]


def fix_input(model: Any, sample: _Sample, name: Path) -> None:
    """Set the shape of the only input to that of `sample`, in place; shapes derived from it are forgotten.

    Raises:
        BadInput: there are other inputs, or this one takes something else.
    """
    onnx = importable("onnx", EXTRA)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs)
        raise BadInput(
            f"{name} takes {len(inputs)} inputs ({names}), and one, a {sample.kind}, was expected; give another file."
        )
    tensor = inputs[0].type.tensor_type
    shape = tensor.shape.dim
    fits = len(shape) == len(sample.shape) and all(
        dim.dim_value == 0 or dim.dim_value == size for dim, size in zip(shape, sample.shape, strict=True)
    )
    code = onnx.helper.np_dtype_to_tensor_dtype(sample.example.dtype)
    if not fits or tensor.elem_type != code:
        has = " x ".join(str(dim.dim_value or dim.dim_param or "?") for dim in shape)
        kind, wanted = (onnx.TensorProto.DataType.Name(code).lower() for code in (tensor.elem_type, code))
        raise BadInput(
            f"{name} takes a {kind} input of shape {has}, and a {wanted} {sample.kind} of shape "
            f"{' x '.join(map(str, sample.shape))} was expected; {sample.remedy}."
        )
    for dim, size in zip(shape, sample.shape, strict=True):
        if isinstance(size, str):
            dim.dim_param = size
        else:
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
    (output,) = onnx.load(file, load_external_data=False).graph.output
    return tuple(dim.dim_value for dim in output.type.tensor_type.shape.dim)
