"""Encoders beyond 2 GB, made small by lowering the limit: one more file of data, carried and checked like the rest."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse import Classifier
from edgefuse.evaluation.record import evaluate_folder
from edgefuse.heads import open_head, write_head
from edgefuse.kits.encoders import Encoders, identity, write_encoders
from edgefuse.kits.golden import golden_vectors
from edgefuse.kits.kit import Kit
from edgefuse.kits.packing import pack
from edgefuse_export import graph, model_file, vision
from edgefuse_export.int8 import wiring
from edgefuse_export.text import export_text_encoder, export_text_encoders
from edgefuse_runtimes.encoder import encode_notes, open_encoder
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256
from edgefuse_runtimes.image import prepare
from edgefuse_runtimes.onnx.with_numpy import OnnxNumpyEncoder
from edgefuse_runtimes.onnx.with_onnxruntime import OnnxRuntimeEncoder
from edgefuse_runtimes.spec import DataFile, EncoderSpec
from edgefuse_runtimes.tokenizers import tokenizer_of
from tests.edgefuse_export.conftest import draw_once

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")

NOTE = "Age: 45 years. Sex: male. Localization: trunk."
ENGINES = [OnnxRuntimeEncoder, OnnxNumpyEncoder]
LIMIT = 1500


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures to calibrate on."""
    folder = tmp_path_factory.mktemp("calibration")
    for seed in range(16):
        draw_once(100 + seed).image.save(folder / f"{seed}.png")
    return folder


@pytest.fixture(scope="module")
def large(
    tmp_path_factory: pytest.TempPathFactory, tiny_image_onnx: Path, tiny_text_gguf: Path, calibration: Path
) -> Path:
    """An encoders folder in both precisions with a limit so low that each image encoder needs a file of data."""
    folder = tmp_path_factory.mktemp("large")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_file, "ONE_FILE_BYTES", LIMIT)
        image, *others = vision.export_image_encoders(
            tiny_image_onnx, folder, precision="both", calibration=calibration
        )
        write_encoders(folder, image, export_text_encoder(tiny_text_gguf, folder), alternatives=others)
    return folder


@pytest.fixture(scope="module")
def large_kit(tmp_path_factory: pytest.TempPathFactory, large: Path, tiny_workshop: Path) -> Path:
    """A kit of them; the head is one of the small encoders that says it was trained on these."""
    folder = tmp_path_factory.mktemp("kit")
    encoders = Encoders.open(large)
    write_head(folder / "head", replace(open_head(tiny_workshop / "head"), encoders=encoders.identity))
    pack(encoders, folder / "head", evaluate_folder(folder / "head"), folder / "large.kit", name="large", version="1")
    return folder / "large.kit"


def pictures(spec: EncoderSpec) -> np.ndarray:
    assert spec.preprocess is not None
    return np.stack([prepare(draw_once(seed).image, spec.preprocess) for seed in range(4)])


def vectors(engine: Any, folder: Path, spec: EncoderSpec) -> np.ndarray:
    with engine(folder / spec.file, spec, threads=1, memory="normal") as encoder:
        return encoder.encode(pictures(spec))


def locations(file: Path) -> set[str]:
    tensors = onnx.load(file, load_external_data=False).graph.initializer
    return {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}


def test_each_file_has_its_data_beside_it_and_nothing_else(large: Path) -> None:
    encoders = Encoders.open(large)
    for spec in (encoders.image, *encoders.alternatives):
        data = large / f"{spec.file}.data"
        assert spec.data == DataFile(data.name, sha256(data), data.stat().st_size)
        assert locations(large / spec.file) == {data.name}
        assert spec.sha256 == sha256(large / spec.file)
        assert spec.total_bytes == spec.bytes + data.stat().st_size
        assert EncoderSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    assert sorted(path.name for path in large.iterdir()) == [
        "encoders.json", "golden", "golden.npz", "image-fp32.onnx", "image-fp32.onnx.data", "image.onnx",
        "image.onnx.data", "text.gguf",
    ]  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
def test_both_engines_give_the_vectors_of_a_whole_file(
    large: Path, tiny_image_onnx: Path, calibration: Path, tmp_path: Path, engine: Any
) -> None:
    encoders = Encoders.open(large)
    whole = vision.export_image_encoders(tiny_image_onnx, tmp_path, precision="both", calibration=calibration)
    for split, one in zip((encoders.image, *encoders.alternatives), whole, strict=True):
        assert one.data is None
        np.testing.assert_array_equal(vectors(engine, large, split), vectors(engine, tmp_path, one))


def test_a_traced_family_goes_the_same_way(
    dinov2_folder: Path, calibration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, limit in (("whole", model_file.ONE_FILE_BYTES), ("split", 0)):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(model_file, "ONE_FILE_BYTES", limit)
        int8, fp32 = vision.export_image_encoders(
            dinov2_folder, tmp_path / name, precision="both", calibration=calibration
        )
        assert (int8.data is None, fp32.data is None) == (name == "whole", name == "whole")
    for file in ("image.onnx", "image-fp32.onnx"):
        models = [onnx.load(tmp_path / name / file) for name in ("whole", "split")]
        assert models[0].graph.node == models[1].graph.node
        weights = [{t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer} for model in models]
        assert weights[0].keys() == weights[1].keys()
        for key, array in weights[0].items():
            np.testing.assert_array_equal(array, weights[1][key])


def test_a_text_encoder_goes_the_same_way(
    text_folder: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_file, "ONE_FILE_BYTES", 0)
    int8, fp32 = export_text_encoders(text_folder("bert"), tmp_path, precision="both")
    found = []
    for spec in (int8, fp32):
        assert spec.data is not None
        for engine in ("onnxruntime", "numpy"):
            with open_encoder(spec, tmp_path, engine=engine) as encoder:
                found.append(encode_notes(encoder, tokenizer_of(spec, tmp_path.joinpath), [NOTE])[0])
    assert np.ptp(found, axis=0).max() < 0.3


def test_a_source_with_its_data_beside_it_is_read(tiny_image_onnx: Path, calibration: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "source.onnx", tmp_path / "out"
    onnx.save(onnx.load(tiny_image_onnx), source, save_as_external_data=True, location="weights")
    out.mkdir()
    spec = vision.export_image_encoder(source, out, precision="fp32", calibration=calibration)
    assert spec.data is None
    (tmp_path / "whole").mkdir()
    whole = vision.export_image_encoder(tiny_image_onnx, tmp_path / "whole", precision="fp32", calibration=calibration)
    assert spec.sha256 == whole.sha256


def test_what_a_limit_takes_out_of_a_model_comes_back(tiny_image_onnx: Path, tmp_path: Path) -> None:
    model = graph.load_graph(tiny_image_onnx)
    sample = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        expected = model_file.session(graph.load_graph(tiny_image_onnx)).run(None, {"pixel_values": sample})[0]
        patch.setattr(model_file, "ONE_FILE_BYTES", LIMIT)
        for session in (
            model_file.session(graph.load_graph(tiny_image_onnx)),
            model_file.session(*wiring.write_named(wiring.read(model))),
        ):
            np.testing.assert_array_equal(session.run(None, {"pixel_values": sample})[0], expected)
        model_file.save(model, tmp_path / "a.onnx")
        model_file.move(tmp_path / "a.onnx", tmp_path / "b.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.onnx", "b.onnx.data"]
    np.testing.assert_array_equal(
        model_file.session(graph.load_graph(tmp_path / "b.onnx")).run(None, {"pixel_values": sample})[0], expected
    )


def test_saving_again_replaces_the_data(tiny_image_onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_file, "ONE_FILE_BYTES", LIMIT)
    for _ in range(2):
        model_file.save(graph.load_graph(tiny_image_onnx), tmp_path / "a.onnx")
    first = (tmp_path / "a.onnx.data").stat().st_size
    assert first < 1.1 * tiny_image_onnx.stat().st_size
    monkeypatch.undo()
    model_file.save(graph.load_graph(tiny_image_onnx), tmp_path / "a.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


# What carries the data checks them


def test_the_data_are_part_of_the_identity(large: Path) -> None:
    image = Encoders.open(large).image
    assert image.data is not None
    assert identity(replace(image, data=replace(image.data, sha256="0" * 64))) != identity(image)
    assert identity(replace(image, data=replace(image.data, file="other"))) == identity(image)


@pytest.mark.parametrize("file", ["image.onnx.data", "image-fp32.onnx.data"])
def test_data_of_the_folder_that_are_missing_or_damaged_are_named(large: Path, tmp_path: Path, file: str) -> None:
    folder = Path(shutil.copytree(large, tmp_path / "E"))
    whole = (folder / file).read_bytes()
    (folder / file).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(BadInput, match=rf"{file} is not the file that was exported \(sha256 differs\)"):
        Encoders.open(folder)
    (folder / file).unlink()
    with pytest.raises(BadInput, match=f"lacks the file {file}"):
        Encoders.open(folder)


def test_swapped_data_are_seen(large: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(large, tmp_path / "E"))
    (folder / "image.onnx.data").rename(folder / "third")
    (folder / "image-fp32.onnx.data").rename(folder / "image.onnx.data")
    (folder / "third").rename(folder / "image-fp32.onnx.data")
    with pytest.raises(BadInput, match=r"is not the file that was exported"):
        Encoders.open(folder)


@pytest.mark.parametrize("engine", ["numpy", "onnxruntime"])
@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_a_kit_answers_from_its_data(large_kit: Path, engine: str, precision: str) -> None:
    kit = Kit.open(large_kit)
    kit.verify()
    golden = kit.manifest["golden"][3]
    with Classifier.open(large_kit, engine=engine, precision=precision) as classifier:
        found = classifier.predict(kit.file(golden["image"]), kit.file(golden["text"]).read_text())
    assert list(found.probabilities.values()) == pytest.approx(golden["probabilities"], abs=0.02)
    assert found.precisions["image"] == precision
    assert golden_vectors(kit.file, kit.image).shape == (8, 24)


@pytest.mark.parametrize("change", ["missing", "shorter", "other"])
def test_data_of_a_kit_that_are_not_right_end_with_one_sentence(
    cli: Callable[..., Any], large_kit: Path, tmp_path: Path, change: str
) -> None:
    kit = Path(shutil.copytree(large_kit, tmp_path / "my.kit"))
    data = kit / "image.onnx.data"
    whole = data.read_bytes()
    if change == "missing":
        data.unlink()
    else:
        data.write_bytes(whole[:-1] if change == "shorter" else bytes(len(whole)))
    ask = ["kits", "use", kit] if change == "other" else ["classify", kit / "golden/1.png", "--note", "x", "--kit", kit]
    said = {
        "missing": "lacks the file image.onnx.data; copy the kit again",
        "shorter": "image.onnx.data has the wrong size",
        "other": "image.onnx.data is damaged (sha256 differs)",
    }
    assert said[change] in cli(*ask).refusal


@pytest.mark.parametrize("engine", ENGINES)
def test_data_that_the_description_does_not_name_are_not_read(large: Path, tmp_path: Path, engine: Any) -> None:
    folder = Path(shutil.copytree(large, tmp_path / "E"))
    image = Encoders.open(folder).image
    assert image.data is not None
    for other in (replace(image, data=None), replace(image, data=replace(image.data, file="image-fp32.onnx.data"))):
        with pytest.raises(BadInput, match=r"in 'image\.onnx\.data' lie in a file that the encoder's description does"):
            engine(folder / image.file, other, threads=1, memory="normal")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("location", ["../image.onnx.data", "/etc/passwd", "link"])
def test_data_outside_the_folder_are_not_read(large: Path, tmp_path: Path, engine: Any, location: str) -> None:
    folder = Path(shutil.copytree(large, tmp_path / "E"))
    (folder / "image.onnx.data").rename(tmp_path / "image.onnx.data")
    (folder / "link").symlink_to(tmp_path / "image.onnx.data")
    model = onnx.load(folder / "image.onnx", load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    onnx.save(model, folder / "image.onnx")
    spec = Encoders(folder, *(EncoderSpec.from_json(item) for item in described(folder))).image
    assert spec.data is not None
    with pytest.raises(BadInput, match=r"lie outside its folder|does not name"):
        engine(folder / "image.onnx", replace(spec, data=replace(spec.data, file=location)), threads=1, memory="normal")


def described(folder: Path) -> list[Any]:
    data = json.loads((folder / "encoders.json").read_text())
    return [data["image"], data["text"]]


@pytest.mark.parametrize("engine", ["auto", "numpy", "onnxruntime"])
def test_missing_data_are_named_before_an_engine_starts(large: Path, tmp_path: Path, engine: str) -> None:
    folder = Path(shutil.copytree(large, tmp_path / "E"))
    image = Encoders.open(folder).image
    (folder / "image.onnx.data").unlink()
    with pytest.raises(BadInput, match=r"The encoder's data .*image\.onnx\.data is missing"):
        open_encoder(image, folder, engine=engine)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"file": "../image.onnx.data"}, "its data's file is not a plain name of its own"),
        ({"file": "image.onnx"}, "its data's file is not a plain name of its own"),
        ({"bytes": -1}, "size is not a positive number"),
        ({"sha256": None}, "cannot be read"),
        ({"offset": 0}, "'offset' is not a field of DataFile"),
    ],
)
def test_a_description_of_data_that_cannot_be_is_refused(large: Path, change: dict[str, Any], said: str) -> None:
    image = described(large)[0]
    with pytest.raises(BadInput, match=said):
        EncoderSpec.from_json(image | {"data": image["data"] | change})


def test_only_onnx_has_data(large: Path) -> None:
    image, text = described(large)
    with pytest.raises(BadInput, match="only an ONNX file has its data in another file"):
        EncoderSpec.from_json(text | {"data": image["data"]})
