"""What an export source is, and the sentence for everything that is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgefuse_export import sources
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256


def test_folders_and_files_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    for name in ("a.onnx", "a.gguf"):
        (tmp_path / name).touch()
    assert sources.kind_of(tmp_path) == "folder"
    assert sources.kind_of(tmp_path / "a.onnx") == "onnx"
    assert sources.kind_of(tmp_path / "a.gguf") == "gguf"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("pytorch_model.bin", "is a pickle, which can run code"),
        ("model.pt", "is a pickle, which can run code"),
        ("notes.txt", "is neither a Hugging Face folder, an .onnx file nor a .gguf file"),
        ("model.safetensors", "is neither a Hugging Face folder"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04")
    with pytest.raises(BadInput, match=sentence):
        sources.kind_of(tmp_path / name)


def test_folder_without_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no config\.json"):
        sources.kind_of(tmp_path)


def test_paths_that_exist_are_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").touch()
    assert sources.find_source(str(tmp_path / "a.gguf")) == tmp_path / "a.gguf"


@pytest.mark.parametrize("name", ["missing/model.onnx", "missing.gguf", "/no/such/folder", "../no-such-folder"])
def test_missing_paths_are_not_looked_for_on_the_hub(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="no file or folder"):
        sources.find_source(name)


def test_unreachable_hub_gets_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants", reason="huggingface_hub is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(BadInput, match="'facebook/dinov2-small' is no folder here, and the hub cannot be reached"):
        sources.find_source("facebook/dinov2-small")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "is missing"),
        ("{", "cannot be read as JSON"),
        ("[1]", "holds no JSON object"),
        ("{}", "names no model_type"),
    ],
)
def test_bad_config_is_refused(tmp_path: Path, content: str | None, sentence: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(BadInput, match=sentence):
        sources.read_config(tmp_path)


def test_shards_come_in_order(tmp_path: Path) -> None:
    for name in ("b.safetensors", "a.safetensors"):
        (tmp_path / name).touch()
    index = {"weight_map": {"x": "b.safetensors", "y": "a.safetensors", "z": "b.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert [file.name for file in sources.weight_files(tmp_path)] == ["a.safetensors", "b.safetensors"]


@pytest.mark.parametrize("shard", ["gone.safetensors", "../outside.safetensors", "/etc/passwd"])
def test_shards_that_are_missing_or_outside_are_refused(tmp_path: Path, shard: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "outside.safetensors").touch()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": shard}}))
    with pytest.raises(BadInput, match="which is missing"):
        sources.weight_files(folder)


def test_pickles_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no model\.safetensors"):
        sources.weight_files(tmp_path)
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(BadInput, match=r"as \.bin pickles only"):
        sources.weight_files(tmp_path)


def test_origin_of_a_folder_tells_hashes_and_licence_and_no_path(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "README.md").write_text("---\ntags: [vision]\nlicense: apache-2.0\n---\n# Tiny\nlicense: mit\n")
    origin = sources.origin_of(folder)
    assert origin.licence == "apache-2.0"
    assert origin.source == {
        "name": "tiny",
        "sha256": {"model.safetensors": sha256(folder / "model.safetensors")},
    }


def test_origin_of_a_hub_download_tells_its_revision(tmp_path: Path) -> None:
    folder = tmp_path / "models--facebook--dinov2-small" / "snapshots" / "0a1b2c"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    origin = sources.origin_of(folder)
    assert (origin.source["name"], origin.source["revision"]) == ("facebook/dinov2-small", "0a1b2c")
    assert origin.licence == "unknown"
