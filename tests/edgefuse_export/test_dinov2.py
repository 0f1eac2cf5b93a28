"""Every size of DINOv2, with and without registers, in its own structure at reduced depth and width."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse_export import families, graph, vision
from edgefuse_export.int8.blocks import find_attentions, find_feed_forwards
from edgefuse_export.int8.wiring import read
from edgefuse_runtimes.image import prepare
from edgefuse_runtimes.onnx.with_numpy import OnnxNumpyEncoder
from edgefuse_runtimes.onnx.with_onnxruntime import OnnxRuntimeEncoder
from edgefuse_runtimes.spec import EncoderSpec
from tests.edgefuse_export.conftest import PREPROCESSOR, draw_once

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")
torch = pytest.importorskip("torch", reason="torch is not installed (extra export-torch)")
transformers = pytest.importorskip("transformers", reason="transformers is not installed (extra export-torch)")

HEADS = {"small": 6, "base": 12, "large": 16, "giant": 24}
WIDE, DEEP, REGISTERS = 8, 2, 4
"""Channels of a head (really 64), blocks (really 12, 12, 24 and 40), and register tokens."""

CASES = [(size, registers) for size in HEADS for registers in (False, True)]
ENGINES = [OnnxRuntimeEncoder, OnnxNumpyEncoder]

Made = Callable[[str, bool], Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The folder of a model with random weights; as in the real ones the position table is for 518 pixels."""
    folders: dict[tuple[str, bool], Path] = {}

    def make(size: str, registers: bool) -> Path:
        if (size, registers) not in folders:
            settings: dict[str, Any] = {
                "hidden_size": WIDE * HEADS[size],
                "num_attention_heads": HEADS[size],
                "num_hidden_layers": DEEP,
                "mlp_ratio": 4,
                "use_swiglu_ffn": size == "giant",
                "image_size": 518,
                "patch_size": 14,
            }
            torch.manual_seed(len(folders))
            if registers:
                config = transformers.Dinov2WithRegistersConfig(**settings, num_register_tokens=REGISTERS)
                model = transformers.Dinov2WithRegistersModel(config).eval()
            else:
                model = transformers.Dinov2Model(transformers.Dinov2Config(**settings)).eval()
            for name, weight in model.named_parameters():
                if weight.ndim == 2:
                    torch.nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
                elif name.endswith("bias") or "token" in name:
                    torch.nn.init.normal_(weight, std=0.3)
                elif "lambda" in name or "norm" in name:
                    torch.nn.init.normal_(weight, mean=1, std=0.2)
            folder = folders[size, registers] = tmp_path_factory.mktemp(size)
            model.save_pretrained(folder, safe_serialization=True)
            (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
        return folders[size, registers]

    return make


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures to calibrate on, other ones than those that are compared."""
    folder = tmp_path_factory.mktemp("calibration")
    for seed in range(24):
        draw_once(100 + seed).image.save(folder / f"{seed}.png")
    return folder


def pictures(spec: EncoderSpec) -> np.ndarray:
    assert spec.preprocess is not None
    return np.stack([prepare(draw_once(seed).image, spec.preprocess) for seed in range(8)])  # (8, 3, 56, 56)


def by_transformers(folder: Path, pixels: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return transformers.AutoModel.from_pretrained(folder)(torch.tensor(pixels)).last_hidden_state[:, 0].numpy()


def centred_cosines(exact: np.ndarray, near: np.ndarray) -> np.ndarray:
    a, b = exact - exact.mean(0), near - exact.mean(0)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize(("size", "registers"), CASES)
def test_both_files_give_the_vectors_of_transformers_on_both_engines(
    made: Made, calibration: Path, tmp_path: Path, size: str, registers: bool
) -> None:
    int8, fp32 = vision.export_image_encoders(
        made(size, registers), tmp_path, precision="both", calibration=calibration
    )
    pixels = pictures(fp32)
    expected = by_transformers(made(size, registers), pixels)  # (8, d)
    assert int8.width == fp32.width == expected.shape[1] == WIDE * HEADS[size]
    for engine in ENGINES:
        exact = engine(tmp_path / fp32.file, fp32, threads=1, memory="normal").encode(pixels)  # (8, d)
        near = engine(tmp_path / int8.file, int8, threads=1, memory="normal").encode(pixels)  # (8, d)
        assert centred_cosines(expected, exact).min() > 0.99999
        assert centred_cosines(expected, near).min() > 0.995
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / int8.file).graph.node)
    whole, last = 6 + 1, 4  # a block and its scores; of the last block, its first token alone
    patches = 1
    assert kinds["MatMulInteger"] == patches + (DEEP - 1) * whole + last


@pytest.mark.parametrize("registers", [False, True])
def test_the_gated_layers_of_giant_are_found(made: Made, tmp_path: Path, registers: bool) -> None:
    folder = made("giant", registers)
    families.trace(folder, families.find_family(folder), 56, tmp_path / "traced.onnx")
    graph.fold(tmp_path / "traced.onnx", tmp_path / "folded.onnx", 56)
    wiring = read(onnx.load(tmp_path / "folded.onnx"))
    layers = find_feed_forwards(wiring)
    assert (len(find_attentions(wiring)), len(layers)) == (DEEP, DEEP)
    gated = transformers.AutoModel.from_pretrained(folder).encoder.layer[0].mlp
    for layer in layers:
        assert layer.norm is not None
        up, down = (wiring.constants[linear.product.input[1]].shape for linear in (layer.up, layer.down))
        assert up == tuple(gated.weights_in.weight.shape[::-1])
        assert down == tuple(gated.weights_out.weight.shape[::-1])
        assert up[1] == 2 * down[0]
