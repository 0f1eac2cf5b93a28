"""A text encoder on onnxruntime and on numpy: one program for notes of every length."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse_runtimes.errors import BadInput, EdgefuseError
from edgefuse_runtimes.onnx.graph import load
from edgefuse_runtimes.onnx.program import compile_graph
from edgefuse_runtimes.onnx.with_numpy import OnnxNumpyEncoder
from edgefuse_runtimes.onnx.with_onnxruntime import OnnxRuntimeEncoder
from edgefuse_runtimes.pooling import l2_normalize, pool
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.worker import WorkerEncoder

ENGINES = [OnnxRuntimeEncoder, OnnxNumpyEncoder]


@pytest.mark.parametrize("memory", ["normal", "low"])
@pytest.mark.parametrize("pooling", ["cls", "mean", "last"])
@pytest.mark.parametrize("file", ["tiny_text_fp32", "tiny_text_int8"])
def test_vectors_are_those_of_onnxruntime(
    request: pytest.FixtureRequest,
    tiny_text_spec: EncoderSpec,
    notes: list[np.ndarray],
    reference: Any,
    file: str,
    pooling: Any,
    memory: Any,
) -> None:
    path, spec = request.getfixturevalue(file), replace(tiny_text_spec, pooling=pooling, normalize=True)
    states = [reference(path, {"input_ids": ids.astype(np.int64)[None]})[0][0] for ids in notes]  # n of (t, d)
    expected = l2_normalize(np.stack([pool(hidden, pooling) for hidden in states]))
    for engine in ENGINES:
        with engine(path, spec, threads=1, memory=memory) as encoder:
            vectors = encoder.encode(notes)
        np.testing.assert_allclose(vectors, expected, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_vector_is_the_same_alone_and_in_any_batch(
    engine: Any, tiny_text_int8: Path, tiny_text_spec: EncoderSpec, notes: list[np.ndarray]
) -> None:
    with engine(tiny_text_int8, tiny_text_spec, threads=1, memory="normal") as encoder:
        together = encoder.encode(notes)
        alone = np.concatenate([encoder.encode([ids]) for ids in reversed(notes)])[::-1]
    np.testing.assert_array_equal(together, alone)


def test_one_program_serves_every_length(tiny_text_int8: Path) -> None:
    program = compile_graph(load(tiny_text_int8), (1, None), "normal")
    operators = [step.node.operator for step in program.steps]
    assert operators.count("Shape") == 1
    assert "IntegerLinear" in operators


@pytest.mark.parametrize("engine", ENGINES)
def test_an_id_that_the_file_does_not_know_is_a_sentence(
    engine: Any, tiny_text_fp32: Path, tiny_text_spec: EncoderSpec
) -> None:
    with (
        engine(tiny_text_fp32, tiny_text_spec, threads=1, memory="normal") as encoder,
        pytest.raises(EdgefuseError, match=r"model\.onnx"),
    ):
        encoder.encode([np.array([50], np.int32)])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_graph_for_pictures_is_refused(engine: Any, tiny_fp32: Path, tiny_text_spec: EncoderSpec) -> None:
    with pytest.raises(BadInput, match="must have one int64 input, token ids"):
        engine(tiny_fp32, tiny_text_spec, threads=1, memory="normal")


def test_notes_go_to_a_child_process(
    tiny_text_fp32: Path, tiny_text_spec: EncoderSpec, notes: list[np.ndarray]
) -> None:
    name = "edgefuse_runtimes.onnx.with_numpy:OnnxNumpyEncoder"
    with (
        WorkerEncoder(name, tiny_text_fp32, tiny_text_spec, threads=1, memory="low", timeout=60) as child,
        OnnxNumpyEncoder(tiny_text_fp32, tiny_text_spec, threads=1, memory="low") as here,
    ):
        np.testing.assert_array_equal(child.encode(notes[:3]), here.encode(notes[:3]))
