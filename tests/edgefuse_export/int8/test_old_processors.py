"""Integer products of exported weights are exact on processors that cut sums at 16 bits, shown by emulating them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgefuse_export.int8 import rounding

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
helper = onnx.helper

CHILD = """
import sys, numpy as np, onnxruntime
onnxruntime.set_default_logger_severity(4)
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
np.save(sys.argv[3], session.run(None, {"q": np.load(sys.argv[2])})[0])
"""

ROWS, COLUMNS = 256, 96


@pytest.fixture(scope="module")
def emulator() -> str:
    found = shutil.which("qemu-x86_64-static")
    if found is None or os.uname().machine != "x86_64":
        pytest.skip("needs qemu-x86_64-static (Debian: qemu-user-static) on x86-64, to emulate an old processor")
    return found


def weight() -> np.ndarray:
    """Heavy-tailed weights (k, n), with a pair of the largest ones side by side."""
    values = np.random.default_rng(0).standard_t(3, (ROWS, COLUMNS)).astype(np.float32)
    values[10:12] = np.abs(values).max()
    return values


def inputs() -> np.ndarray:
    """uint8 (m, k), among them the largest everywhere, which is where sums are cut first."""
    q = np.random.default_rng(1).choice([0, 255, 250, 7], size=(24, ROWS)).astype(np.uint8)
    q[0] = 255
    return q


def product(command: list[str], levels: np.ndarray, folder: Path) -> np.ndarray:
    """What onnxruntime's MatMulInteger gives for `inputs`, in a child process."""
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["q", "levels"], ["y"])],
        "product",
        [helper.make_tensor_value_info("q", onnx.TensorProto.UINT8, [None, ROWS])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.INT32, None)],
        [onnx.numpy_helper.from_array(levels, "levels")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, folder / "product.onnx")
    np.save(folder / "q.npy", inputs())
    files = [str(folder / name) for name in ("product.onnx", "q.npy", "y.npy")]
    subprocess.run([*command, sys.executable, "-c", CHILD, *files], check=True, capture_output=True, timeout=300)
    return np.load(folder / "y.npy")


@pytest.mark.parametrize("processor", ["Haswell", "Nehalem"])
def test_products_are_exact_on_an_emulated_processor(emulator: str, tmp_path: Path, processor: str) -> None:
    levels = rounding.nearest(weight(), rounding.scales(weight()))
    exact = inputs().astype(np.int64) @ levels.astype(np.int64)
    np.testing.assert_array_equal(product([emulator, "-cpu", processor], levels, tmp_path), exact)


def test_without_the_bound_the_emulated_processor_is_wrong(emulator: str, tmp_path: Path) -> None:
    """What the test above would miss if the emulator did not cut sums as the processor does."""
    values = weight()
    levels = np.rint(values / np.abs(values).max(axis=0) * 127).astype(np.int8)
    exact = inputs().astype(np.int64) @ levels.astype(np.int64)
    assert (product([emulator, "-cpu", "Haswell"], levels, tmp_path) != exact).any()
