"""An ONNX file as plain data: nodes, and constants that are views of the memory-mapped file.

Field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

import mmap
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.onnx.tensor import DTYPES, EMPTY, Array, dtype_of, parse_tensor
from edgefuse_runtimes.protobuf import (
    Field,
    Malformed,
    chunk,
    fields,
    integers,
    numbers,
    signed,
    text,
    unsigned,
)

OLDEST_OPSET = 13
"""Before it, Softmax and others meant something else by the same name."""


@dataclass(frozen=True)
class Value:
    """An input or output of the graph."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str, ...]
    """A name stands for a free dimension, "" for one without a name."""


@dataclass(frozen=True)
class Node:
    """One operation. An optional input that is left out has the name ""."""

    operator: str
    domain: str
    """"" for the standard operators."""
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    """Numbers, strings, arrays and tuples of them; None for a kind that is not read (a subgraph, ...)."""

    def __str__(self) -> str:
        domain = f"{self.domain}." if self.domain else ""
        return f"{domain}{self.operator} (node {self.name or ', '.join(self.outputs)!r})"


@dataclass(frozen=True)
class Graph:
    """A whole model: nodes in an order in which they can run."""

    path: Path
    opsets: Mapping[str, int]
    """Domain -> version."""
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    initializers: Mapping[str, Array]
    """Constants, read-only and maybe not aligned: views of the mapped file where possible."""
    mapping: mmap.mmap

    def forget_pages(self) -> None:
        """Let the system take back the memory of the mapped file; the views stay valid and read it again."""
        self.mapping.madvise(mmap.MADV_DONTNEED)


def load(path: Path, data_files: Collection[str] | None = None) -> Graph:
    """Read and check the model at `path`.

    Args:
        path: of the file.
        data_files: names of files in its folder that may hold weights; None: any.

    Raises:
        BadInput: the file is missing, damaged, no ONNX model, or of a kind that edgefuse does not read.
    """
    try:
        with path.open("rb") as file:
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: nothing to map in an empty file
        raise BadInput(f"The ONNX file {path} cannot be opened ({error}); check the path or copy it again.") from error
    try:
        return _model(memoryview(mapping), path, mapping, data_files)
    except Malformed as error:
        raise BadInput(
            f"{path} is not an ONNX model that edgefuse can read: {error}; copy or export it again."
        ) from error


def _model(message: memoryview, path: Path, mapping: mmap.mmap, data_files: Collection[str] | None) -> Graph:
    opsets: dict[str, int] = {}
    graph: memoryview | None = None
    for number, field in fields(message):
        if number == 8:
            opset = dict(fields(chunk(field)))
            opsets[text(opset.get(1, EMPTY))] = signed(opset.get(2, 0))
        elif number == 7:
            graph = chunk(field)
    if graph is None:
        raise Malformed("it holds no graph")
    if opsets.get("", 0) < OLDEST_OPSET:
        raise Malformed(f"it uses operator set {opsets.get('', 0)}, and {OLDEST_OPSET} is the oldest known")
    nodes: list[Node] = []
    initializers: dict[str, Array] = {}
    inputs: list[Value] = []
    outputs: list[Value] = []
    for number, field in fields(graph):
        if number == 1:
            nodes.append(_node(chunk(field)))
        elif number == 5:
            name, array = parse_tensor(chunk(field), path, data_files)
            if name in initializers:
                raise Malformed(f"it has two constants {name!r}")
            initializers[name] = array
        elif number == 11:
            inputs.append(_value(chunk(field)))
        elif number == 12:
            outputs.append(_value(chunk(field)))
        elif number == 15:
            raise Malformed("it has sparse constants")
    inputs = [value for value in inputs if value.name not in initializers]  # older files list constants twice
    _check_order(nodes, {*initializers, *(value.name for value in inputs)}, outputs)
    return Graph(path, opsets, tuple(inputs), tuple(outputs), tuple(nodes), initializers, mapping)


def _check_order(nodes: Iterable[Node], known: set[str], outputs: Iterable[Value]) -> None:
    for node in nodes:
        for name in node.inputs:
            if name and name not in known:
                raise Malformed(f"{node} takes {name!r}, which nothing before it gives")
        for name in node.outputs:
            if name in known:
                raise Malformed(f"{node} gives {name!r}, which is given already")
        known.update(name for name in node.outputs if name)
    for value in outputs:
        if value.name not in known:
            raise Malformed(f"nothing gives its output {value.name!r}")


def _node(message: memoryview) -> Node:
    inputs: list[str] = []
    outputs: list[str] = []
    texts = {3: "", 4: "", 7: ""}  # name, operator, domain
    attributes: dict[str, Any] = {}
    for number, field in fields(message):
        if number == 1:
            inputs.append(text(field))
        elif number == 2:
            outputs.append(text(field))
        elif number in texts:
            texts[number] = text(field)
        elif number == 5:
            name, value = _attribute(chunk(field))
            attributes[name] = value
    domain = "" if texts[7] == "ai.onnx" else texts[7]
    return Node(texts[4], domain, texts[3], tuple(inputs), tuple(outputs), attributes)


def _attribute(message: memoryview) -> tuple[str, Any]:
    name, kind = "", 0
    found: dict[int, Any] = {}  # by AttributeProto.AttributeType
    for number, field in fields(message):
        if number == 1:
            name = text(field)
        elif number == 20:
            kind = unsigned(field)
        elif number == 2:
            found[1] = _floats(field)[-1]
        elif number == 3:
            found[2] = signed(field)
        elif number == 4:
            found[3] = text(field)
        elif number == 5:
            found[4] = parse_tensor(chunk(field), None)[1]
        elif number == 7:
            found.setdefault(6, []).extend(_floats(field))
        elif number == 8:
            found.setdefault(7, []).extend(integers(field))
        elif number == 9:
            found.setdefault(8, []).append(text(field))
    absent = {1: 0.0, 2: 0, 3: "", 6: (), 7: (), 8: ()}  # what protobuf leaves out when it is the default
    value = found.get(kind, absent.get(kind))
    return name, tuple(value) if isinstance(value, list) else value


def _floats(field: Field) -> list[float]:
    values: list[float] = numbers(field, DTYPES[1]).tolist()
    if not values:
        raise Malformed("a number in it has no bytes")
    return values


def _value(message: memoryview) -> Value:
    name, code = "", 0
    shape: list[int | str] = []
    for number, field in fields(message):
        if number == 1:
            name = text(field)
        elif number == 2:
            for kind, inner in fields(chunk(field)):
                if kind != 1:
                    raise Malformed(f"its value {name!r} is no tensor")
                for part, content in fields(chunk(inner)):
                    if part == 1:
                        code = unsigned(content)
                    elif part == 2:
                        shape = [_dimension(chunk(dim)) for number, dim in fields(chunk(content)) if number == 1]
    return Value(name, dtype_of(code, name), tuple(shape))


def _dimension(message: memoryview) -> int | str:
    dimension: int | str = ""
    for number, field in fields(message):
        if number == 1:
            dimension = signed(field)
        elif number == 2:
            dimension = text(field)
    return dimension
