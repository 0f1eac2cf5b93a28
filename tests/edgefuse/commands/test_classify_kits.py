"""`edgefuse classify`: which kit is asked, and which are refused."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgefuse.kits.manifest import MANIFEST, write_manifest
from edgefuse.trust.keys import PublicKey
from edgefuse.trust.pinned import pin
from edgefuse_runtimes.files import sha256

NOTE = "Age: 45 years. Sex: male. Localization: trunk."


def copied(kit: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kit, tmp_path / "copy.kit"))


def test_a_kit_is_named_by_option_then_environment_then_the_active_one(
    cli: Callable[..., Any], tiny_kit: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = ["classify", picture, "--note", NOTE, "--engine", "numpy", "--json"]
    assert "No kit is named: give --kit KIT, set EDGEFUSE_KIT, or bring one with" in cli(*ask).refusal
    monkeypatch.setenv("EDGEFUSE_KIT", str(tiny_kit))
    assert json.loads(cli(*ask).out)["kit"]["name"] == "tiny"
    missing = tmp_path / "no.kit"
    assert cli(*ask, "--kit", missing).refusal == f"There is no kit at {missing}; check the path."
    monkeypatch.setenv("EDGEFUSE_KIT", str(missing))
    assert cli(*ask).refusal == f"There is no kit at {missing}; check the path."


def test_a_kit_that_nobody_trusted_signed_answers_with_a_note(
    cli: Callable[..., Any], bring: Callable[..., Path], fingerprint: str, picture: Path
) -> None:
    cli("kits", "install", bring("1"), "--trust", fingerprint)
    other = bring("2", seed=2)
    done = cli("classify", picture, "--note", "a note", "--engine", "numpy", "--kit", other)
    assert (done.code, done.err.count("note: The kit")) == (0, 1)
    assert f"note: The kit {other} is signed by SHA256:" in done.err
    assert "a key that this device does not trust" in done.err
    assert cli("classify", picture, "--note", "a note", "--engine", "numpy").err == ""
    (other / "kit.json.sig").write_bytes((bring("3") / "kit.json.sig").read_bytes())
    done = cli("classify", picture, "--note", "a note", "--engine", "numpy", "--kit", other)
    assert "is not over this kit: the kit or its signature was changed" in done.refusal


def test_a_mistyped_kit_is_not_called_unsigned(cli: Callable[..., Any], picture: Path, tmp_path: Path) -> None:
    pin(PublicKey(bytes(range(32))))
    missing = tmp_path / "typo"
    assert cli("classify", picture, "--kit", missing).refusal == f"There is no kit at {missing}; check the path."


def test_every_changed_byte_of_the_manifest_is_seen(
    cli: Callable[..., Any], tiny_kit: Path, picture: Path, tmp_path: Path
) -> None:
    kit = copied(tiny_kit, tmp_path)
    whole = (kit / MANIFEST).read_bytes()
    steps = range(0, len(whole), len(whole) // 150)
    changes = [(position, whole[position] ^ 1 << position % 8) for position in steps]
    small = re.search(rb"\de-0\d", whole)
    assert small is not None
    changes += [(small.start() + 2, ord("9"))]  # 1e-05 becomes 1e905, which is infinite
    for position, byte in changes:
        (kit / MANIFEST).write_bytes(whole[:position] + bytes([byte]) + whole[position + 1 :])
        sentence = cli("classify", picture, "--note", NOTE, "--kit", kit).refusal
        assert str(kit) in sentence
        assert "copy the kit again" in sentence or "upgrade edgefuse" in sentence


def test_a_kit_of_a_newer_schema(refusal: Callable[..., str], tiny_kit: Path, picture: Path, tmp_path: Path) -> None:
    kit = copied(tiny_kit, tmp_path)
    manifest = json.loads((kit / MANIFEST).read_text())
    (kit / MANIFEST).write_text(json.dumps({"schema": manifest["schema"] + 1, "all": "that is new"}))
    sentence = refusal(picture, "--kit", kit)
    assert sentence == f"The kit {kit} has schema 2 and this edgefuse reads up to 1; upgrade edgefuse."


@pytest.mark.parametrize("name", ["image.onnx", "text.gguf", "head.npz", "golden.npz", "golden/3.txt"])
def test_a_kit_that_lacks_a_file(
    refusal: Callable[..., str], tiny_kit: Path, picture: Path, tmp_path: Path, name: str
) -> None:
    kit = copied(tiny_kit, tmp_path)
    (kit / name).unlink()
    assert refusal(picture, "--kit", kit) == f"The kit {kit} lacks the file {name}; copy the kit again."


def test_a_kit_with_a_changed_head(refusal: Callable[..., str], tiny_kit: Path, picture: Path, tmp_path: Path) -> None:
    kit = copied(tiny_kit, tmp_path)
    data = bytearray((kit / "head.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (kit / "head.npz").write_bytes(data)
    assert "head.npz is damaged (sha256 differs); copy the kit again." in refusal(picture, "--kit", kit)


def test_an_encoder_that_gives_nan_gets_no_answer(
    refusal: Callable[..., str], tiny_kit: Path, picture: Path, tmp_path: Path
) -> None:
    kit = copied(tiny_kit, tmp_path)
    model = onnx.load(kit / "image.onnx")
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "bias")
    weight.raw_data = np.full(24, np.nan, np.float32).tobytes()
    onnx.save(model, kit / "image.onnx")
    manifest = json.loads((kit / MANIFEST).read_text())
    manifest["encoders"]["image"]["sha256"] = sha256(kit / "image.onnx")
    (kit / MANIFEST).unlink()
    write_manifest(kit, {key: value for key, value in manifest.items() if key not in ("files", "digest", "schema")})
    assert "The encoder image.onnx gave a vector with NaN or infinity" in refusal(picture, "--kit", kit)
