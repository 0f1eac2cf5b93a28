"""Sources: folders and files here, hub ids, and weights that are not those of the export."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from edgefuse.kits.encoders import Encoders
from edgefuse_bench.peers.sources import check_source, find_source
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256

hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed (extra export-torch)")


def test_what_lies_here_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_source("model") == tmp_path / "model"


def test_a_hub_id_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(name: str, *, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr(hub, "snapshot_download", download)
    assert find_source("some/model") == tmp_path
    assert asked == [("some/model", ["*.json", "*.safetensors"])]


def test_a_hub_that_does_not_answer_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> str:
        raise hub.errors.LocalEntryNotFoundError("offline")

    monkeypatch.setattr(hub, "snapshot_download", offline)
    with pytest.raises(BadInput, match="'some/model' is no folder here, and the hub does not give it"):
        find_source("some/model")


def test_weights_of_another_export_are_refused(tiny_encoders: Path, tiny_image_onnx: Path, tmp_path: Path) -> None:
    spec = Encoders.open(tiny_encoders).image
    check_source(tiny_image_onnx, spec)
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    of_a_folder = dataclasses.replace(spec, source={"sha256": {"model.safetensors": sha256(tiny_image_onnx)}})
    with pytest.raises(BadInput, match=r"image.onnx was not exported from .* \(model.safetensors is another one\)"):
        check_source(tmp_path, of_a_folder)
