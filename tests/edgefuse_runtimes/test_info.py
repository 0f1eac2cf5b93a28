"""What every engine says of itself, in the same plain words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgefuse.kits.encoders import Encoders
from edgefuse_runtimes.encoder import ENGINES, open_encoder

KEYS = {"engine": str, "version": str, "file": str, "threads": int, "precision": str, "memory": str}


@pytest.mark.parametrize("memory", ["normal", "low"])
@pytest.mark.parametrize(
    ("modality", "engine"), [("image", "onnxruntime"), ("image", "numpy"), ("text", "llama.cpp"), ("text", "numpy")]
)
def test_info_is_plain_json_with_the_same_keys(tiny_encoders: Path, modality: str, engine: str, memory: str) -> None:
    if engine == "llama.cpp":
        pytest.importorskip("llama_cpp", reason="needs llama-cpp-python (the `llama` extra)")
    encoders = Encoders.open(tiny_encoders)
    spec = encoders.image if modality == "image" else encoders.text
    with open_encoder(spec, encoders.folder, engine=engine, threads=1, memory=memory) as encoder:  # type: ignore[arg-type]
        info = encoder.info()
        json.dumps(info, allow_nan=False)
    assert json.loads(json.dumps(info)) == info
    assert {name: type(info[name]) for name in KEYS} == KEYS
    assert ("pid" in info) is (engine != "numpy")  # a native engine works in a process of its own
    assert (info["engine"], info["threads"], info["memory"]) == (engine, 1, memory)
    assert (info["file"], info["precision"]) == (str(encoders.file(spec.file)), spec.precision)
    assert any(letter.isdigit() for letter in info["version"])


def test_every_engine_is_in_the_test_above() -> None:
    assert {(file_format, engine.name) for file_format, engines in ENGINES.items() for engine in engines} == {
        ("onnx", "onnxruntime"), ("onnx", "numpy"), ("gguf", "llama.cpp"), ("gguf", "numpy"),
    }  # fmt: skip
