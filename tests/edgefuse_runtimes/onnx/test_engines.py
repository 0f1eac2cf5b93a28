"""Both engines of an ONNX file: the same vectors, the same refusals, the same manners."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgefuse_runtimes.errors import BadInput, EngineUnavailable
from edgefuse_runtimes.onnx.with_numpy import OnnxNumpyEncoder
from edgefuse_runtimes.onnx.with_onnxruntime import OnnxRuntimeEncoder
from edgefuse_runtimes.spec import EncoderSpec

ENGINES = [OnnxNumpyEncoder, OnnxRuntimeEncoder]


def centred_cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine of each pair of rows after the mean row of b is taken from both, (n,)."""
    x, y = (rows.astype(np.float64) - b.mean(axis=0) for rows in (a, b))
    return (x * y).sum(axis=1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)


def nearest(rows: np.ndarray) -> np.ndarray:
    """For each row the index of the nearest other one, (n,)."""
    distances = ((rows[:, None] - rows[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    return distances.argmin(axis=1)


@pytest.mark.parametrize("pooling", ["cls", "mean", "last"])
@pytest.mark.parametrize("file", ["tiny_fp32", "tiny_int8"])
@pytest.mark.parametrize("memory", ["normal", "low"])
def test_both_engines_give_the_same_vectors(
    request: pytest.FixtureRequest,
    tiny_spec: EncoderSpec,
    pictures: np.ndarray,
    file: str,
    memory: Any,
    pooling: Any,
) -> None:
    path, spec = request.getfixturevalue(file), replace(tiny_spec, pooling=pooling, normalize=True)

    with (
        OnnxNumpyEncoder(path, spec, threads=1, memory=memory) as ours,
        OnnxRuntimeEncoder(path, spec, threads=1, memory=memory) as theirs,
    ):
        vectors, expected = ours.encode(pictures), theirs.encode(pictures)

    assert vectors.dtype == expected.dtype == np.float32
    assert vectors.shape == expected.shape == (20, 32)
    assert centred_cosines(vectors, expected).min() >= 0.9999
    np.testing.assert_array_equal(nearest(vectors), nearest(expected))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_vector_is_the_same_alone_and_in_any_batch(
    engine: Any, tiny_int8: Path, tiny_spec: EncoderSpec, pictures: np.ndarray
) -> None:
    with engine(tiny_int8, tiny_spec, threads=1, memory="normal") as encoder:
        together = encoder.encode(pictures[:4])
        alone = np.concatenate([encoder.encode(pictures[i : i + 1]) for i in range(4)])

    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("engine", ENGINES)
def test_two_threads_may_use_one_encoder(
    engine: Any, tiny_fp32: Path, tiny_spec: EncoderSpec, pictures: np.ndarray
) -> None:
    with engine(tiny_fp32, tiny_spec, threads=1, memory="normal") as encoder, ThreadPoolExecutor(2) as pool:
        together = encoder.encode(pictures)
        apart = list(pool.map(lambda i: encoder.encode(pictures[i : i + 1]), range(len(pictures))))

    np.testing.assert_array_equal(np.concatenate(apart), together)


@pytest.mark.parametrize("engine", ENGINES)
def test_info_is_plain_json(engine: Any, tiny_fp32: Path, tiny_spec: EncoderSpec) -> None:
    with engine(tiny_fp32, tiny_spec, threads=1, memory="low") as encoder:
        info = json.loads(json.dumps(encoder.info()))

    assert info["engine"] == {OnnxNumpyEncoder: "numpy", OnnxRuntimeEncoder: "onnxruntime"}[engine]
    assert info["version"].count(".") >= 2
    assert (info["threads"], info["memory"], info["precision"]) == (1, "low", "fp32")
    assert info["file"] == str(tiny_fp32)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_damaged_file_is_refused_in_silence(
    engine: Any, tiny_fp32: Path, tiny_spec: EncoderSpec, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(tiny_fp32.read_bytes()[:-100])

    with pytest.raises(BadInput, match=r"cut\.onnx is not an ONNX model"):
        engine(path, tiny_spec, threads=1, memory="normal")

    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_weight_of_the_wrong_shape_is_refused(
    engine: Any, tiny_fp32: Path, tiny_spec: EncoderSpec, pictures: np.ndarray, tmp_path: Path
) -> None:
    model = onnx.load(tiny_fp32)
    weight = next(t for t in model.graph.initializer if t.name == "layer0.fc2.weight")
    weight.dims[:] = [64, 64]
    onnx.save(model, tmp_path / "odd.onnx")

    with pytest.raises(BadInput, match=r"odd\.onnx"):
        engine(tmp_path / "odd.onnx", tiny_spec, threads=1, memory="normal").encode(pictures[:1])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_picture_with_nan_is_refused(
    engine: Any, tiny_int8: Path, tiny_spec: EncoderSpec, pictures: np.ndarray
) -> None:
    broken = pictures[:1].copy()
    broken[0, 0, 3, 3] = np.nan

    with (
        engine(tiny_int8, replace(tiny_spec, pooling="mean"), threads=1, memory="normal") as encoder,
        pytest.raises(BadInput, match="NaN or infinity"),
    ):
        encoder.encode(broken)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_closed_encoder_says_so(engine: Any, tiny_fp32: Path, tiny_spec: EncoderSpec, pictures: np.ndarray) -> None:
    encoder = engine(tiny_fp32, tiny_spec, threads=1, memory="normal")
    encoder.close()

    with pytest.raises(EngineUnavailable, match="closed"):
        encoder.encode(pictures[:1])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_graph_with_a_free_batch_dimension_runs_too(
    engine: Any, save_model: Callable[..., Path], tiny_spec: EncoderSpec, pictures: np.ndarray
) -> None:
    node = onnx.helper.make_node
    path = save_model(
        [node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0), node("MatMul", ["mean", "weight"], ["y"])],
        {"x": (np.float32, ["batch", 3, "height", "width"])},
        {"y": (np.float32, ["batch", 4])},
        {"axes": np.array([2, 3]), "weight": np.eye(3, 4, dtype=np.float32)},
    )

    with engine(path, replace(tiny_spec, width=4, pooling="none"), threads=1, memory="normal") as encoder:
        vectors = encoder.encode(pictures)

    np.testing.assert_allclose(vectors[:, :3], pictures.mean(axis=(2, 3)), atol=1e-6)


def test_onnxruntime_that_does_not_import_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tiny_fp32: Path, tiny_spec: EncoderSpec
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with pytest.raises(EngineUnavailable, match=r"onnxruntime cannot be imported .*edgefuse\[onnxruntime\]"):
        OnnxRuntimeEncoder(tiny_fp32, tiny_spec, threads=1, memory="normal")


def test_an_operator_that_onnxruntime_does_not_know_is_a_sentence(
    save_model: Callable[..., Path], tiny_spec: EncoderSpec
) -> None:
    node = onnx.helper.make_node("Unheard", ["x"], ["y"], domain="com.example")
    path = save_model([node], {"x": (np.float32, [1, 3, 28, 28])}, {"y": (np.float32, None)})

    with pytest.raises(BadInput, match="onnxruntime cannot read"):
        OnnxRuntimeEncoder(path, tiny_spec, threads=1, memory="normal")


def test_onnxruntime_reports_nothing_to_its_maker(tiny_fp32: Path, tmp_path: Path) -> None:
    """Its telemetry begins with the import: an identity of the device and a queue of events among the user's caches."""
    code = (
        "import sys, edgefuse_runtimes, onnxruntime\n"
        "onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])"
    )
    left_out = ("CI", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY")  # each alone would keep it quiet
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    subprocess.run(
        [sys.executable, "-c", code, str(tiny_fp32)],
        env=environment | {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)},
        check=True,
    )
    assert list(tmp_path.iterdir()) == []
