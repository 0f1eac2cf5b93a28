"""Image encoders: source -> image.onnx and its spec."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgefuse_export import vision
from edgefuse_export.parity.samples import read_samples
from edgefuse_export.parity.source import source_vectors
from edgefuse_export.preprocessing import DINOV2
from edgefuse_export.sources import Origin
from edgefuse_runtimes.encoder import encode_pictures, open_encoder
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256
from edgefuse_runtimes.image import prepare
from edgefuse_runtimes.spec import EncoderSpec
from tests.edgefuse_export.conftest import draw_once

ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")
pytest.importorskip("onnx", reason="onnx is not installed (extra export)")


def hidden_states(file: Path, pixels: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: pixels})[0]


def centred_cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a - a.mean(0), b - b.mean(0)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.fixture(scope="module")
def exported(dinov2_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[EncoderSpec, Path]:
    folder = tmp_path_factory.mktemp("exported")
    return vision.export_image_encoder(dinov2_folder, folder), folder


def test_spec_says_what_a_device_needs(exported: tuple[EncoderSpec, Path], dinov2_folder: Path) -> None:
    spec, folder = exported
    file = folder / "image.onnx"
    assert [path.name for path in folder.iterdir()] == ["image.onnx"]
    assert (spec.file, spec.sha256, spec.bytes) == ("image.onnx", sha256(file), file.stat().st_size)
    assert (spec.precision, spec.width, spec.pooling, spec.normalize) == ("int8", 48, "cls", False)
    assert spec.preprocess is not None
    assert (spec.preprocess.size, spec.preprocess.crop, spec.preprocess.resample) == (64, 56, "bicubic")
    assert spec.source["name"] == "tiny-dinov2"
    assert spec.source["sha256"] == {"model.safetensors": sha256(dinov2_folder / "model.safetensors")}
    assert spec.recipe["opset"] == 18
    assert {"edgefuse", "onnx", "onnxruntime", "torch", "transformers"} <= spec.recipe["tools"].keys()
    assert EncoderSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_int8_vectors_stay_near_torch(exported: tuple[EncoderSpec, Path], dinov2_folder: Path) -> None:
    import torch
    from transformers import Dinov2Model

    spec, folder = exported
    assert spec.preprocess is not None
    batch = np.stack([prepare(draw_once(seed).image, spec.preprocess) for seed in range(12)])  # (12, 3, 56, 56)
    with torch.no_grad():
        exact = Dinov2Model.from_pretrained(dinov2_folder).eval()(torch.tensor(batch)).last_hidden_state[:, 0]
    near = np.stack([hidden_states(folder / "image.onnx", pixels[None])[0, 0] for pixels in batch])
    assert centred_cosines(exact.numpy(), near).mean() > 0.99


def test_ready_onnx_file_needs_no_torch(tiny_image_onnx: Path, tmp_path: Path) -> None:
    spec = vision.export_image_encoder(tiny_image_onnx, tmp_path)
    assert (spec.width, spec.pooling, spec.preprocess) == (24, "cls", DINOV2)
    assert "torch" not in spec.recipe["tools"]
    assert spec.recipe["notes"] == [
        "no preprocessor_config.json lies beside tiny.onnx, so DINOv2's own preprocessing was assumed"
    ]


def test_preprocessing_beside_an_onnx_file_is_read(tiny_image_onnx: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_image_onnx, tmp_path / "vit.onnx")
    settings = {
        "size": {"height": 224, "width": 224},
        "resample": 2,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    (tmp_path / "out").mkdir()
    spec = vision.export_image_encoder(tmp_path / "vit.onnx", tmp_path / "out")
    assert spec.preprocess is not None
    assert spec.preprocess.resize == "squash"
    assert "notes" not in spec.recipe


def test_given_origin_and_preprocessing_are_recorded(tiny_image_onnx: Path, tmp_path: Path) -> None:
    origin = Origin({"name": "a wheel"}, "MIT")
    spec = vision.export_image_encoder(tiny_image_onnx, tmp_path, origin=origin, preprocess=DINOV2)
    assert (spec.source, spec.licence) == ({"name": "a wheel"}, "MIT")
    assert "notes" not in spec.recipe


def test_float32_file_is_the_folded_graph(tiny_image_onnx: Path, tmp_path: Path) -> None:
    spec = vision.export_image_encoder(tiny_image_onnx, tmp_path, precision="fp32")
    assert [path.name for path in tmp_path.iterdir()] == ["image.onnx"]
    assert (spec.precision, spec.sha256) == ("fp32", sha256(tmp_path / "image.onnx"))
    pixels = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    folded = hidden_states(tmp_path / "image.onnx", pixels)
    np.testing.assert_allclose(folded, hidden_states(tiny_image_onnx, pixels), atol=1e-6)
    assert not any("int8" in step for step in spec.recipe["steps"])


def test_a_file_of_several_views_agrees_with_its_source(dinov2_folder: Path, tmp_path: Path) -> None:
    found: list[float] = []

    def compare(source: Path, spec: EncoderSpec) -> None:
        samples = read_samples(count=4)
        wanted = source_vectors(source, spec, tmp_path / spec.file, samples)  # (4, d)
        with open_encoder(spec, tmp_path, engine="numpy") as encoder:
            vectors = encode_pictures(encoder, samples.pictures)  # (4, d)
        found.append(float(np.abs(vectors - wanted).max() / np.abs(wanted).max()))

    (spec,) = vision.export_image_encoders(dinov2_folder, tmp_path, views=4, precision="fp32", reference=compare)
    assert spec.preprocess is not None
    assert spec.preprocess.views == 4
    assert found[0] < 1e-4


@pytest.mark.parametrize("squash", [False, True])
def test_squashing_is_recorded(dinov2_folder: Path, tmp_path: Path, squash: bool) -> None:
    spec = vision.export_image_encoder(dinov2_folder, tmp_path, squash=squash)
    assert spec.preprocess is not None
    assert (spec.preprocess.resize, spec.preprocess.size) == (("squash", 56) if squash else ("shortest", 64))
    assert spec.recipe["preprocess"] == ("squash" if squash else "source")


def test_exporting_twice_gives_the_same_bytes(tiny_image_onnx: Path, tmp_path: Path) -> None:
    hashes = set()
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        hashes.add(vision.export_image_encoder(tiny_image_onnx, tmp_path / name).sha256)
    assert len(hashes) == 1


def test_text_encoders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").touch()
    with pytest.raises(BadInput, match="which holds a text encoder"):
        vision.export_image_encoder(tmp_path / "a.gguf", tmp_path)


def copy_of(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "source"))


def refuse(source: Path, tmp_path: Path, sentence: str) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(BadInput, match=sentence):
        vision.export_image_encoder(source, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_folder_without_preprocessing_is_refused(dinov2_folder: Path, tmp_path: Path) -> None:
    source = copy_of(dinov2_folder, tmp_path)
    (source / "preprocessor_config.json").unlink()
    refuse(source, tmp_path, r"preprocessor_config\.json is missing")


def test_other_families_are_refused(dinov2_folder: Path, tmp_path: Path) -> None:
    source = copy_of(dinov2_folder, tmp_path)
    (source / "config.json").write_text(json.dumps({"model_type": "bert"}))
    refuse(source, tmp_path, "a model of type 'bert'; the image encoders that can be exported are: dinov2")


def test_truncated_weights_are_refused(dinov2_folder: Path, tmp_path: Path) -> None:
    weights = copy_of(dinov2_folder, tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    refuse(weights.parent, tmp_path, "ends before its tensor")


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("layernorm.weight", lambda values: values * np.float32(np.nan), "not finite in 'layernorm.weight'"),
        ("layernorm.weight", lambda values: values[:-1], "cannot be loaded by transformers"),
        ("layernorm.weight", None, "lacks 1 weights of its model, such as 'layernorm.weight'"),
    ],
)
def test_wrong_weights_are_refused(
    dinov2_folder: Path, tmp_path: Path, name: str, change: object, sentence: str
) -> None:
    from safetensors.numpy import load_file, save_file

    source = copy_of(dinov2_folder, tmp_path)
    tensors = load_file(source / "model.safetensors")
    values = tensors.pop(name)
    if callable(change):
        tensors[name] = np.ascontiguousarray(change(values))
    save_file(tensors, source / "model.safetensors", metadata={"format": "pt"})
    refuse(source, tmp_path, sentence)


def test_pickled_weights_are_refused(dinov2_folder: Path, tmp_path: Path) -> None:
    source = copy_of(dinov2_folder, tmp_path)
    (source / "model.safetensors").rename(source / "pytorch_model.bin")
    refuse(source, tmp_path, r"\.bin pickles only")
