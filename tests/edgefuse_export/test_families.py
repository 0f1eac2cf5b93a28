"""Every family of image encoders, as both engines run it, compared with transformers on the same weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgefuse_export import vision
from edgefuse_export.families import FAMILIES, find_family
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import prepare
from edgefuse_runtimes.onnx.with_numpy import OnnxNumpyEncoder
from edgefuse_runtimes.onnx.with_onnxruntime import OnnxRuntimeEncoder
from edgefuse_runtimes.pooling import l2_normalize
from edgefuse_runtimes.spec import EncoderSpec
from tests.edgefuse_export.conftest import draw_once

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")
onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra export)")

ImageFolder = Callable[[str], Path]
CASES = [*((name, False) for name in FAMILIES), ("vit", True)]
ENGINES = [OnnxRuntimeEncoder, OnnxNumpyEncoder]


def pictures(spec: EncoderSpec) -> np.ndarray:
    assert spec.preprocess is not None
    return np.stack([prepare(draw_once(seed).image, spec.preprocess) for seed in range(8)])  # (8, 3, 56, 56)


def by_transformers(folder: Path, pixels: np.ndarray, *, pooler: bool) -> np.ndarray:
    """The vectors (n, d) of the first token, of the pooler, or of CLIP's projection, brought to length 1."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    given = torch.tensor(pixels)
    with torch.no_grad():
        if folder.name == "clip":
            return l2_normalize(transformers.CLIPModel.from_pretrained(folder).get_image_features(given).numpy())
        if folder.name == "clip_vision_model":
            model = transformers.CLIPVisionModelWithProjection.from_pretrained(folder)
            return l2_normalize(model(given).image_embeds.numpy())
        output = transformers.AutoModel.from_pretrained(folder)(given)
        return output.pooler_output.numpy() if pooler else output.last_hidden_state[:, 0].numpy()


def centred_cosines(exact: np.ndarray, near: np.ndarray) -> np.ndarray:
    a, b = exact - exact.mean(0), near - exact.mean(0)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize(("name", "pooler"), CASES)
def test_fp32_file_gives_the_vectors_of_transformers(
    image_folder: ImageFolder, tmp_path: Path, name: str, pooler: bool
) -> None:
    folder = image_folder(name)
    spec = vision.export_image_encoder(folder, tmp_path, pooler=pooler, precision="fp32")
    assert {node.domain for node in onnx.load(tmp_path / "image.onnx").graph.node} == {""}
    expected = by_transformers(folder, pictures(spec), pooler=pooler)  # (8, d)
    assert spec.width == expected.shape[1]
    for engine in ENGINES:
        vectors = engine(tmp_path / "image.onnx", spec, threads=1, memory="normal").encode(pictures(spec))  # (8, d)
        assert centred_cosines(expected, vectors).min() > 0.99999
        np.testing.assert_allclose(vectors, expected, atol=1e-4)


@pytest.mark.parametrize(("name", "pooler"), CASES)
def test_int8_file_stays_near_transformers(image_folder: ImageFolder, tmp_path: Path, name: str, pooler: bool) -> None:
    folder = image_folder(name)
    spec = vision.export_image_encoder(folder, tmp_path, pooler=pooler)
    expected = by_transformers(folder, pictures(spec), pooler=pooler)  # (8, d)
    for engine in ENGINES:
        vectors = engine(tmp_path / "image.onnx", spec, threads=1, memory="normal").encode(pictures(spec))  # (8, d)
        assert centred_cosines(expected, vectors).mean() > 0.998


@pytest.mark.parametrize("name", ["clip", "clip_vision_model"])
def test_vectors_of_clip_have_length_1(image_folder: ImageFolder, tmp_path: Path, name: str) -> None:
    spec = vision.export_image_encoder(image_folder(name), tmp_path)
    assert (spec.pooling, spec.normalize) == ("none", True)
    vectors = OnnxNumpyEncoder(tmp_path / "image.onnx", spec, threads=1, memory="normal").encode(pictures(spec))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_pooler_is_asked_of_a_vit_alone(image_folder: ImageFolder, tiny_image_onnx: Path, tmp_path: Path) -> None:
    assert find_family(image_folder("vit"), pooler=True).pooling == "none"
    with pytest.raises(BadInput, match="of type 'clip', which has no pooler; leave --pooler out"):
        find_family(image_folder("clip"), pooler=True)
    with pytest.raises(BadInput, match="is a ready graph, whose output is taken as it is; leave --pooler out"):
        vision.export_image_encoder(tiny_image_onnx, tmp_path, pooler=True)


def test_a_vit_without_a_pooler_gives_its_first_token_only(image_folder: ImageFolder, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = image_folder("vit")
    source, out = Path(shutil.copytree(folder, tmp_path / "source")), tmp_path / "out"
    transformers.ViTModel.from_pretrained(folder, add_pooling_layer=False).save_pretrained(source)
    out.mkdir()
    assert vision.export_image_encoder(source, out).pooling == "cls"
    with pytest.raises(BadInput, match=r"lacks 2 weights of its model, such as 'pooler\.dense\.bias'"):
        vision.export_image_encoder(source, out, pooler=True)


def test_clip_without_its_projection_is_refused(image_folder: ImageFolder, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    source = Path(shutil.copytree(image_folder("clip_vision_model"), tmp_path / "source"))
    transformers.CLIPVisionModel.from_pretrained(source).save_pretrained(source)
    with pytest.raises(BadInput, match=r"lacks 1 weights of its model, such as 'visual_projection\.weight'"):
        vision.export_image_encoder(source, tmp_path)


def test_another_size_than_that_of_the_position_table_is_refused(image_folder: ImageFolder, tmp_path: Path) -> None:
    source = Path(shutil.copytree(image_folder("vit"), tmp_path / "source"))
    settings = json.loads((source / "preprocessor_config.json").read_text())
    settings["crop_size"] = {"height": 42, "width": 42}
    (source / "preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises(BadInput, match=r"does not run on one picture of 42x42 pixels .*must prepare what its config"):
        vision.export_image_encoder(source, tmp_path)
