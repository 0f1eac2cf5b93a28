"""`edgefuse bench peers`, on tiny encoders whose sources are an ONNX and a GGUF file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import Any

import pytest


def peers(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgefuse", "bench", "peers", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_engine_has_its_row(
    tiny_encoders: Path, tiny_workshop: Path, tiny_image_onnx: Path, tiny_text_gguf: Path, tmp_path: Path
) -> None:
    sources = ["--image", tiny_image_onnx, "--text", tiny_text_gguf, "--head", tiny_workshop / "head"]
    files = ["--json", tmp_path / "peers.json", "--markdown", tmp_path / "peers.md"]

    done = peers("--encoders", tiny_encoders, *sources, "--rounds", "6", "--count", "2", "--threads", "1", *files)

    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "peers.json").read_bytes())
    assert (tmp_path / "peers.md").read_text() == done.stdout
    assert (result["schema"], result["kind"], result["samples"]["drawn"]) == (1, "bench peers", True)
    assert result["machine"]["cpu"] in done.stdout
    image, text = result["comparisons"]
    failed = {row["name"]: row["failed"] for part in (image, text) for row in part["peers"] if "failed" in row}
    assert all(": not installed." in sentence for sentence in failed.values())
    assert (image["baseline"], image["reference"]) == ("edgefuse, int8, onnxruntime", "onnxruntime, fp32")
    rows = {row["name"]: row for part in (image, text) for row in part["peers"] if "failed" not in row}
    assert {"edgefuse, int8, numpy", "edgefuse, q8_0, numpy, memory low", "onnxruntime, dynamic int8"} <= set(rows)
    assert ("llama-cpp-python, Llama.embed" in rows) == (util.find_spec("llama_cpp") is not None)
    assert not any(name.startswith("torch") for name in rows)
    for row in rows.values():
        low, high = row["ratio"]["interval"]
        assert low <= row["ratio"]["median"] <= high
        assert sum(map(len, row["rounds_ns"])) == 12
    assert rows["edgefuse, int8, onnxruntime"]["closeness"]["mean"] < 0.01
    assert rows["onnxruntime, fp32"]["same_label"] == {"share": 1.0, "samples": 12}
    assert "100.0%" in done.stdout


def test_json_to_standard_output_is_nothing_but_json(tiny_encoders: Path, tiny_text_gguf: Path) -> None:
    done = peers("--encoders", tiny_encoders, "--text", tiny_text_gguf, "--rounds", "1", "--count", "2", "--json", "-")

    (text,) = json.loads(done.stdout)["comparisons"]
    assert text["modality"] == "text"
    assert text["reference"] is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name a source with --image, --text or both"),
        (["--image", "missing.onnx"], "There is no file or folder missing.onnx"),
        (["--image", "TEXT"], "was not exported from"),
        (["--text", "TEXT", "--dataset", "nothing"], "There is no data set called"),
        (["--text", "TEXT", "--json", "FOLDER"], "is a folder"),
        (["--text", "TEXT", "--head", "FOLDER"], "FOLDER"),
    ],
)
def test_bad_input_is_a_sentence(
    cli: Callable[..., Any],
    tiny_encoders: Path,
    tiny_text_gguf: Path,
    tmp_path: Path,
    arguments: list[str],
    sentence: str,
) -> None:
    places = {"TEXT": str(tiny_text_gguf), "FOLDER": str(tmp_path)}

    done = cli("bench", "peers", "--encoders", tiny_encoders, *(places.get(word, word) for word in arguments))

    assert places.get(sentence, sentence) in done.refusal
