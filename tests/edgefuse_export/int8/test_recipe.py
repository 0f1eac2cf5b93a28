"""The whole way to int8, on tiny encoders with random weights: small errors, in the operators that engines fuse."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgefuse_export.int8 import integers
from edgefuse_export.int8.convert import make_int8, make_lean
from edgefuse_export.int8.recipe import DEFAULT, Recipe
from edgefuse_runtimes.spec import Preprocess
from tests.edgefuse_export.int8.conftest import CASES, FoldedOf

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")


def first_rows(file: Path, pixels: list[np.ndarray]) -> np.ndarray:
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    outputs = [session.run(None, {session.get_inputs()[0].name: picture})[0] for picture in pixels]
    return np.stack([output.reshape(-1, output.shape[-1])[0] for output in outputs])


def error(found: np.ndarray, exact: np.ndarray) -> float:
    """Mean 1 - cosine after centring: vectors of random weights are nearly equal for any picture."""
    a, b = (rows.astype(np.float64) - exact.mean(axis=0) for rows in (found, exact))
    return float((1 - (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).mean())


def made(
    source: Path, folder: Path, pixels: list[np.ndarray], recipe: Recipe, preprocess: Preprocess | None = None
) -> Path:
    make_lean(source, folder / "lean.onnx", pixels[:2], first_token=True)
    make_int8(folder / "lean.onnx", folder / "int8.onnx", pixels, recipe, preprocess=preprocess)
    return folder / "int8.onnx"


@pytest.mark.parametrize(("name", "pooler"), CASES)
def test_int8_stays_near_float32(
    folded: FoldedOf, pixels: list[np.ndarray], tmp_path: Path, name: str, pooler: bool
) -> None:
    source = folded(name, pooler)
    found = first_rows(made(source, tmp_path, pixels, DEFAULT), pixels)
    assert error(found, first_rows(source, pixels)) < 2e-3


def test_only_standard_operators_are_written(folded: FoldedOf, pixels: list[np.ndarray], tmp_path: Path) -> None:
    model = onnx.load(made(folded("dinov2", False), tmp_path, pixels, DEFAULT))
    onnx.checker.check_model(model)
    assert {node.domain for node in model.graph.node} == {""}
    kinds = Counter(node.op_type for node in model.graph.node)
    assert kinds["MatMulInteger"] == 6 + 1 + 4  # a whole block, its scores, and the last one for its first token
    weights = [onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    levels = [array for array in weights if array.dtype == np.int8 and array.ndim == 2]
    assert len(levels) == 10
    for array in levels:
        pairs = array.astype(int).reshape(-1, 2, array.shape[1])
        assert np.maximum(pairs, 0).sum(axis=1).max() <= 128
        assert np.maximum(-pairs, 0).sum(axis=1).max() <= 128


def test_each_choice_brings_vectors_nearer(folded: FoldedOf, pixels: list[np.ndarray], tmp_path: Path) -> None:
    """Compensation is told what it will meet; with random weights that is what can be shown of it."""
    source = folded("dinov2", False)
    exact = first_rows(source, pixels)
    plain = Recipe(strength=0, compensated=False, scores=False)
    errors = [
        error(first_rows(made(source, tmp_path, pixels, recipe), pixels), exact)
        for recipe in (plain, replace(plain, compensated=True))
    ]
    assert errors[1] < errors[0]


def test_a_recipe_tells_its_steps_in_words() -> None:
    assert "compensated (GPTQ)" in " ".join(DEFAULT.steps)
    assert len(Recipe(strength=0, compensated=False, scores=False, pixels=False).steps) == 2


def test_keys_beyond_the_calibration_are_cut(folded: FoldedOf, pixels: list[np.ndarray], tmp_path: Path) -> None:
    file = made(folded("dinov2", False), tmp_path, pixels, DEFAULT)
    model = onnx.load(file)
    clip = next(node for node in model.graph.node if node.op_type == "Clip")
    limits = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    low, high = (limits[name] for name in clip.input[1:])
    scale = next(limits[node.input[1]] for node in model.graph.node if node.op_type == "QuantizeLinear")
    assert high == -low == pytest.approx(integers.KEY_LEVELS * scale, rel=1e-6)
    wild = [picture * 50 for picture in pixels[:2]]
    assert np.isfinite(first_rows(file, wild)).all()


def test_a_graph_without_blocks_is_rounded_too(tiny_image_onnx: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = list(rng.normal(0, 1, (8, 1, 3, 224, 224)).astype(np.float32))
    from edgefuse_export import graph

    graph.fold(tiny_image_onnx, tmp_path / "folded.onnx", 224)
    file = made(tmp_path / "folded.onnx", tmp_path, pictures, DEFAULT)
    assert error(first_rows(file, pictures), first_rows(tiny_image_onnx, pictures)) < 1e-2


def test_the_same_inputs_give_the_same_bytes(folded: FoldedOf, pixels: list[np.ndarray], tmp_path: Path) -> None:
    files = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        files.append(made(folded("vit", False), tmp_path / name, pixels, DEFAULT).read_bytes())
    assert files[0] == files[1]
