"""An encoder in two precisions: one folder, one kit, one head, and the user's choice of the file that runs."""

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
from edgefuse.kits.encoders import SPECS, Encoders, identity
from edgefuse.kits.golden import VECTORS, golden_vectors, probe_sample
from edgefuse.kits.kit import Kit
from edgefuse.kits.packing import pack
from edgefuse_runtimes.encoder import ENGINES, encode_pictures, open_encoder
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.probe import probe
from edgefuse_runtimes.spec import EncoderSpec

NOTE = "Age: 45 years. Sex: male. Localization: trunk."


@pytest.fixture
def folder(encoders_of_both: Path, tmp_path: Path) -> Path:
    """A copy of the encoders that may be changed."""
    return Path(shutil.copytree(encoders_of_both, tmp_path / "E"))


@pytest.fixture
def kit(kit_of_both: Path, tmp_path: Path) -> Path:
    """A copy of the kit that may be changed."""
    return Path(shutil.copytree(kit_of_both, tmp_path / "my.kit"))


def test_the_folder_holds_both_files_and_tells_of_both(encoders_of_both: Path) -> None:
    encoders = Encoders.open(encoders_of_both)
    (other,) = encoders.alternatives
    assert [(spec.file, spec.precision) for spec in encoders.specs] == [
        ("image.onnx", "int8"),
        ("text.gguf", "q8_0"),
        ("image-fp32.onnx", "fp32"),
    ]
    assert other.bytes > encoders.image.bytes
    assert other.preprocess == encoders.image.preprocess


def test_the_identity_is_that_of_the_main_files(encoders_of_both: Path, tiny_encoders: Path) -> None:
    encoders, plain = Encoders.open(encoders_of_both), Encoders.open(tiny_encoders)
    assert encoders.identity == plain.identity
    assert encoders.identity["image"] == identity(encoders.image)


def test_each_file_has_golden_vectors_of_its_own(encoders_of_both: Path) -> None:
    encoders = Encoders.open(encoders_of_both)
    stored = {}
    for spec in (encoders.image, *encoders.alternatives):
        stored[spec.precision] = golden_vectors(encoders.file, spec)
        with open_encoder(spec, encoders.folder, engine="numpy") as encoder:
            found = encode_pictures(encoder, [encoders.file(f"golden/{index}.png") for index in range(8)])  # (8, d)
        np.testing.assert_allclose(found, stored[spec.precision], atol=1e-5)
    assert 0 < np.abs(stored["int8"] - stored["fp32"]).max() < 0.1


@pytest.mark.parametrize("place", [0, 1])
def test_the_probe_replays_the_golden_vector_of_the_file_that_will_run(encoders_of_both: Path, place: int) -> None:
    encoders = Encoders.open(encoders_of_both)
    spec = (encoders.image, *encoders.alternatives)[place]
    sample = probe_sample(encoders.file, spec)()
    np.testing.assert_array_equal(sample.expected, golden_vectors(encoders.file, spec)[0])
    verdict = probe(ENGINES["onnx"][0], encoders.file(spec.file), spec, lambda: sample, threads=1, memory="normal")
    assert verdict.trusted, verdict.reason


def test_a_folder_without_the_other_files_vectors_cannot_be_packed(
    folder: Path, tiny_workshop: Path, tmp_path: Path
) -> None:
    with np.load(folder / VECTORS) as arrays:
        kept = {name: arrays[name] for name in ("image", "text")}
    np.savez(folder / VECTORS, **kept)
    evaluation = json.loads((tiny_workshop / "head" / "evaluation.json").read_text())
    with pytest.raises(BadInput, match=r"are not 8 image vectors of width 24 for image-fp32\.onnx"):
        pack(Encoders.open(folder), tiny_workshop / "head", evaluation, tmp_path / "kit", name="k", version="1")
    assert not (tmp_path / "kit").exists()


def test_a_flipped_bit_of_the_other_file_is_seen(folder: Path) -> None:
    data = bytearray((folder / "image-fp32.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "image-fp32.onnx").write_bytes(data)
    with pytest.raises(BadInput, match=r"image-fp32\.onnx is not the file that was exported"):
        Encoders.open(folder)


def test_a_missing_other_file_is_named(folder: Path, kit: Path) -> None:
    (folder / "image-fp32.onnx").unlink()
    (kit / "image-fp32.onnx").unlink()
    with pytest.raises(BadInput, match=r"lacks the file image-fp32\.onnx"):
        Encoders.open(folder)
    with pytest.raises(BadInput, match=r"lacks the file image-fp32\.onnx"):
        Kit.open(kit)


@pytest.mark.parametrize("name", ["image.onnx", "image-fp32.onnx"])
def test_damage_to_either_file_of_a_kit_is_seen(kit: Path, name: str) -> None:
    data = bytearray((kit / name).read_bytes())
    data[len(data) // 2] ^= 1
    (kit / name).write_bytes(data)
    with pytest.raises(BadInput, match=rf"{name} is damaged"):
        Kit.open(kit).verify()
    (kit / name).write_bytes(data[:-1])
    with pytest.raises(BadInput, match=rf"{name} has the wrong size"):
        Kit.open(kit)


def test_swapped_files_are_seen(kit: Path) -> None:
    (kit / "image.onnx").rename(kit / "third")
    (kit / "image-fp32.onnx").rename(kit / "image.onnx")
    (kit / "third").rename(kit / "image-fp32.onnx")
    with pytest.raises(BadInput, match=r"image(-fp32)?\.onnx has the wrong size"):
        Kit.open(kit)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"width": 25}, r"image-fp32\.onnx .* is another image encoder than image\.onnx \(width differ\)"),
        ({"pooling": "mean", "normalize": True}, r"\(pooling, normalize differ\)"),
        ({"file": "image.onnx"}, r"two image encoders fp32 or image\.onnx"),
        ({"precision": "int8"}, r"two image encoders int8 or image-fp32\.onnx"),
        ({"file": "../image.onnx"}, "its file is not a plain name"),
        ({"format": "gguf"}, r"\(format differ\)"),
    ],
)
def test_an_alternative_is_the_same_encoder(folder: Path, change: dict[str, Any], said: str) -> None:
    data = json.loads((folder / SPECS).read_text())
    data["alternatives"][0] |= change
    (folder / SPECS).write_text(json.dumps(data))
    with pytest.raises(BadInput, match=said):
        Encoders.open(folder)


@pytest.mark.parametrize("alternatives", [{}, "image-fp32.onnx", [None], [{}]])
def test_a_list_of_alternatives_that_is_none_is_refused(folder: Path, alternatives: object) -> None:
    data = json.loads((folder / SPECS).read_text()) | {"alternatives": alternatives}
    (folder / SPECS).write_text(json.dumps(data))
    with pytest.raises(BadInput, match=r"alternatives of the encoders folder|description cannot be read"):
        Encoders.open(folder)


def test_preprocessing_of_both_files_is_one(folder: Path) -> None:
    data = json.loads((folder / SPECS).read_text())
    data["alternatives"][0]["preprocess"]["size"] += 1
    (folder / SPECS).write_text(json.dumps(data))
    with pytest.raises(BadInput, match=r"\(preprocess differ\)"):
        Encoders.open(folder)


def test_a_kit_gives_the_file_of_the_precision_asked_for(kit_of_both: Path, tiny_kit: Path) -> None:
    kit = Kit.open(kit_of_both)
    assert kit.encoders() == (kit.image, kit.text)
    assert [spec.file for spec in kit.encoders("int8")] == ["image.onnx", "text.gguf"]
    assert [spec.file for spec in kit.encoders("fp32")] == ["image-fp32.onnx", "text.gguf"]
    assert kit.encoders("q8_0") == (kit.image, kit.text)
    assert Kit.open(tiny_kit).alternatives == ()
    assert "alternatives" not in Kit.open(tiny_kit).manifest["encoders"]


@pytest.mark.parametrize("engine", ["numpy", "onnxruntime"])
def test_answers_of_both_precisions_are_near_and_not_the_same(kit_of_both: Path, engine: str) -> None:
    picture, found = kit_of_both / "golden" / "2.png", {}
    for precision in (None, "int8", "fp32"):
        with Classifier.open(kit_of_both, engine=engine, precision=precision) as classifier:
            answer = classifier.predict(picture, NOTE)
        assert answer.precisions == {"image": precision or "int8", "text": "q8_0"}
        found[precision] = np.array(list(answer.probabilities.values()))
    np.testing.assert_array_equal(found[None], found["int8"])
    assert 0 < np.abs(found["int8"] - found["fp32"]).max() < 0.02


def test_classify_runs_the_precision_asked_for(cli: Callable[..., Any], kit_of_both: Path) -> None:
    ask = ["classify", kit_of_both / "golden" / "2.png", "--note", NOTE, "--kit", kit_of_both]
    outcome = cli(*ask, "--precision", "fp32", "--json")
    assert outcome.code == 0, outcome.err
    answer = json.loads(outcome.out)
    assert answer["precisions"] == {"image": "fp32", "text": "q8_0"}
    assert answer["notes"] == [] or "llama.cpp" in answer["notes"][0]
    refused = cli(*ask, "--precision", "int4").refusal
    assert "has no encoder of the precision 'int4' (image int8, fp32; text q8_0); choose another" in refused


def test_another_file_of_the_text_encoder_stands_beside_it(encoders_of_both: Path) -> None:
    """Alternatives of both encoders are told apart by their modality."""
    from edgefuse.kits.precisions import choose, read_alternatives

    encoders = Encoders.open(encoders_of_both)
    mains = (encoders.image, encoders.text)
    more: list[EncoderSpec] = [*encoders.alternatives, replace(encoders.text, file="text-fp32.gguf", precision="fp32")]
    read = read_alternatives([spec.to_json() for spec in more], mains, "a test")
    assert list(read) == more
    assert [spec.file for spec in choose(mains, read, "fp32", "A test")] == ["image-fp32.onnx", "text-fp32.gguf"]
