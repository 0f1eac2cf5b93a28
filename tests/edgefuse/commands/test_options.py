"""Options that several verbs share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from edgefuse.commands.options import FiniteRange


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


@pytest.mark.parametrize("word", ["nan", "inf", "-inf"])
def test_what_is_no_finite_number_is_in_no_range(word: str) -> None:
    within = FiniteRange(min=0)

    assert within.convert("1e-3", None, None) == 0.001
    with pytest.raises(click.BadParameter):
        within.convert(word, None, None)


def test_a_limit_that_nothing_can_exceed_is_refused_by_the_verb(cli: Callable[..., Any]) -> None:
    assert "no finite number" in cli("bench", "compare", "a.json", "b.json", "--max-slowdown", "nan").refusal
