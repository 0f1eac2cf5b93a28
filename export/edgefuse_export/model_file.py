"""ONNX models on disk and in sessions: one file where its weights fit into one, else a second file of data beside it.

One protobuf message holds at most 2 GB, hence so does an ONNX file.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.extras import importable
from edgefuse_export.resources import session_options
from edgefuse_runtimes.files import sha256
from edgefuse_runtimes.spec import DataFile, EncoderSpec

EXTRA = "export"

ONE_FILE_BYTES = 2**31 - 2**25
"""The most bytes of weights that are put into the message itself; the rest of 2 GB is for nodes and names."""

SMALL = 1024
"""Constants of fewer bytes, such as shapes, always stay in the message."""


def data_path(file: Path) -> Path:
    """Where the weights of an ONNX file lie that is too small for them."""
    return file.with_name(f"{file.name}.data")


def is_large(model: Any) -> bool:
    """Whether the weights of an onnx.ModelProto do not fit into one file."""
    onnx = importable("onnx", EXTRA)
    return sum(_bytes(onnx, tensor) for tensor in model.graph.initializer) > ONE_FILE_BYTES


def save(model: Any, target: Path) -> None:
    """Write an onnx.ModelProto to `target`, and its weights beside it where they do not fit.

    Where they do not, they are taken out of `model`, so that they are not held twice.
    """
    onnx = importable("onnx", EXTRA)
    data_path(target).unlink(missing_ok=True)  # the library would write after what is there
    if is_large(model):
        name = data_path(target).name
        onnx.save(model, target, save_as_external_data=True, location=name, size_threshold=SMALL)
    else:
        onnx.save(model, target)


def move(source: Path, target: Path) -> None:
    """Rename an ONNX file that `save` wrote, with its data."""
    if not data_path(source).exists():
        source.rename(target)
        return
    onnx = importable("onnx", EXTRA)
    model = onnx.load(source, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = data_path(target).name
    data_path(source).rename(data_path(target))
    onnx.save(model, target)
    source.unlink()


def total_bytes(file: Path) -> int:
    """Size of an ONNX file and of its data."""
    return sum(path.stat().st_size for path in (file, data_path(file)) if path.exists())


def described(spec: EncoderSpec, file: Path, precision: str) -> EncoderSpec:
    """`spec` with name, hash and size of an ONNX file and of its data."""
    data = data_path(file)
    return dataclasses.replace(
        spec,
        file=file.name,
        sha256=sha256(file),
        bytes=file.stat().st_size,
        precision=precision,
        data=DataFile(data.name, sha256(data), data.stat().st_size) if data.exists() else None,
    )


def session(model: Any, arrays: Mapping[str, NDArray[Any]] | None = None) -> Any:
    """A session of onnxruntime on an onnx.ModelProto in memory.

    Args:
        model: the graph.
        arrays: the initialisers that `model` only names, see `named_only`.
    """
    onnx, ort = importable("onnx", EXTRA), importable("onnxruntime", EXTRA)
    options = session_options()
    given = dict(arrays or {})
    if is_large(model):
        for tensor in model.graph.initializer:
            if _bytes(onnx, tensor) >= SMALL and tensor.name not in given:
                given[tensor.name] = onnx.numpy_helper.to_array(tensor)
                tensor.CopyFrom(named_only(tensor.name, given[tensor.name]))
    values = [ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array)) for array in given.values()]
    options.add_external_initializers(list(given), values)
    running = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    running.kept = values  # these are the arrays themselves, and must live as long as the session
    return running


def named_only(name: str, array: NDArray[Any]) -> Any:
    """An onnx.TensorProto without its data, which a session is given apart."""
    onnx = importable("onnx", EXTRA)
    kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    tensor = onnx.TensorProto(name=name, data_type=kind, dims=array.shape, data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="given")
    return tensor


def _bytes(onnx: Any, tensor: Any) -> int:
    kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return math.prod(map(int, tensor.dims)) * int(np.dtype(kind).itemsize)
