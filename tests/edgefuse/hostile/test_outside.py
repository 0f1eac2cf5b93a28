"""A kit whose network takes its weights from elsewhere on the machine is refused on every engine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

onnx = pytest.importorskip("onnx", reason="needs the extra export: onnx writes the network")


@pytest.mark.parametrize("engine", ["auto", "numpy"])
@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("../secret", "outside its folder"),
        ("/etc/passwd", "outside its folder"),
        ("link", "lie in a file that the encoder's description does not name"),
        ("golden/0.png", "lie in a file that the encoder's description does not name"),
    ],
)
def test_weights_from_outside_are_refused(
    watched: Callable[..., Any],
    load_script: Callable[[str], ModuleType],
    tiny_kit: Path,
    tmp_path: Path,
    location: str,
    why: str,
    engine: str,
) -> None:
    (tmp_path / "secret").write_bytes(bytes(1 << 20))
    kit = Path(shutil.copytree(tiny_kit, tmp_path / "evil.kit"))
    model = onnx.load(kit / "image.onnx")
    tensor = max(model.graph.initializer, key=lambda one: len(one.raw_data))
    size = len(tensor.raw_data)
    onnx.external_data_helper.set_external_data(tensor, location=location, offset=0, length=size)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    (kit / "image.onnx").write_bytes(model.SerializeToString())
    load_script("tests/edgefuse/hostile/mutator.py").refit(kit)
    if location == "link":
        (kit / "link").symlink_to(tmp_path / "secret")
    outcome = watched("classify", tiny_kit / "golden/0.png", "--note", "A spot.", "--kit", kit, "--engine", engine)
    assert outcome.code == 2
    assert why in outcome.err
