"""onnxruntime's settings, and its child process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from edgefuse_runtimes.errors import BadInput, EngineUnavailable
from edgefuse_runtimes.onnx.with_onnxruntime import OnnxRuntimeEncoder, OnnxRuntimeWorker, session_options
from edgefuse_runtimes.spec import EncoderSpec


@pytest.mark.parametrize(("memory", "is_roomy"), [("normal", True), ("low", False)])
def test_every_setting_of_a_session(memory: Any, is_roomy: bool) -> None:
    options = session_options(onnxruntime, 3, memory, {"batch": 1})
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    for pool in ("intra_op", "inter_op"):
        assert options.get_session_config_entry(f"session.{pool}.allow_spinning") == "0"
    assert options.enable_cpu_mem_arena is is_roomy
    assert options.enable_mem_pattern is is_roomy
    assert options.get_session_config_entry("session.disable_prepacking") == ("0" if is_roomy else "1")
    assert not session_options(onnxruntime, 3, memory, {"length": None}).enable_mem_pattern


def test_free_dimensions_are_fixed_and_a_notes_length_stays_free(save_model: Callable[..., Path]) -> None:
    path = save_model(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        {"x": (np.float32, ["batch", "length"])},
        {"y": (np.float32, ["batch", "length"])},
    )
    options = session_options(onnxruntime, 1, "low", {"batch": 1, "length": None})
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == [1, "length"]


@pytest.mark.parametrize("memory", ["normal", "low"])
def test_a_worker_gives_the_very_vectors(
    tiny_int8: Path, tiny_spec: EncoderSpec, pictures: np.ndarray, memory: Any
) -> None:
    spec = replace(tiny_spec, file=tiny_int8.name)
    with (
        OnnxRuntimeWorker(tiny_int8, spec, threads=1, memory=memory) as worker,
        OnnxRuntimeEncoder(tiny_int8, spec, threads=1, memory=memory) as here,
    ):
        np.testing.assert_array_equal(worker.encode(pictures), here.encode(pictures))
        info = worker.info()
        assert json.loads(json.dumps(info)) == info == here.info() | {"pid": worker.pid}


def test_what_onnxruntime_refuses_is_refused_here(tiny_fp32: Path, tiny_spec: EncoderSpec, tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(tiny_fp32.read_bytes()[:-100])
    with pytest.raises(BadInput, match=r"cut\.onnx is not an ONNX model"):
        OnnxRuntimeWorker(path, tiny_spec, threads=1, memory="normal")


def test_a_death_is_a_sentence(tiny_fp32: Path, tiny_spec: EncoderSpec, pictures: np.ndarray) -> None:
    with OnnxRuntimeWorker(tiny_fp32, tiny_spec, threads=1, memory="normal") as worker:
        worker._child.process.kill()
        with pytest.raises(EngineUnavailable, match=r"The engine process onnxruntime on .* ended by signal SIGKILL"):
            worker.encode(pictures)
