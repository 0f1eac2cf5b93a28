"""Options that several verbs share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_the_engine_comes_from_the_option_then_from_the_environment(
    tiny_kit: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def engine(*options: str) -> str:
        outcome = cli("classify", tiny_kit / "golden/0.png", "--note", "words", "--kit", tiny_kit, "--json", *options)
        assert outcome.code == 0, outcome
        return json.loads(outcome.out)["engines"]["image"]

    monkeypatch.setenv("EDGEFUSE_ENGINE", "numpy")
    assert engine() == "numpy"
    assert engine("--engine", "onnxruntime") == "onnxruntime"


def test_an_engine_that_does_not_exist_is_refused(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    names = "'auto', 'onnxruntime', 'llama.cpp', 'numpy'"
    assert names in cli("classify", "x.jpg", "--note", "words", "--engine", "tensorrt").refusal
    monkeypatch.setenv("EDGEFUSE_ENGINE", "tensorrt")
    assert names in cli("classify", "x.jpg", "--note", "words").refusal
