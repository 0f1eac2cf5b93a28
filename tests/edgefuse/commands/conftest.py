"""What tests of the verbs share: the doctor's report, and classify's answers and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NOTE = "Age: 45 years. Sex: male. Localization: trunk."


@pytest.fixture
def picture(tiny_kit: Path) -> Path:
    """A golden sample's."""
    return tiny_kit / "golden" / "1.png"


@pytest.fixture
def answer(cli: Callable[..., Any], tiny_kit: Path) -> Callable[..., dict[str, Any]]:
    """The JSON object for a picture and, unless options say otherwise, one short note."""

    def ask(image: Path | str, *options: Path | str) -> dict[str, Any]:
        note = () if {"--text", "--note"} & set(options) else ("--note", NOTE)
        outcome = cli("classify", image, *note, "--kit", tiny_kit, "--engine", "numpy", "--json", *options)
        assert (outcome.code, outcome.err) == (0, "")
        found: dict[str, Any] = json.loads(outcome.out)
        return found

    return ask


@pytest.fixture
def refusal(cli: Callable[..., Any], tiny_kit: Path, tmp_path: Path) -> Callable[..., str]:
    """The sentence that refuses a picture, a note or a kit, after which every file is as it was."""

    def ask(image: Path | str, *options: Path | str) -> str:
        note = () if {"--text", "--note"} & set(options) else ("--note", NOTE)
        kit = () if "--kit" in options else ("--kit", tiny_kit)
        before = sorted(tmp_path.rglob("*"))
        outcome = cli("classify", image, *note, *kit, "--engine", "numpy", *options)
        assert sorted(tmp_path.rglob("*")) == before
        return outcome.refusal

    return ask


@pytest.fixture
def doctor(cli: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """The report of `edgefuse doctor ... --json`, whose exit code is 0, or 1 with `code=1`."""

    def ask(*arguments: Path | str, code: int = 0) -> dict[str, Any]:
        outcome = cli("doctor", *arguments, "--json")
        assert (outcome.code, outcome.err) == (code, ""), outcome
        found: dict[str, Any] = json.loads(outcome.out)
        assert found["can_answer"] is (code == 0)
        assert bool(found["problems"]) is (code == 1)
        return found

    return ask


@pytest.fixture(scope="session")
def states() -> Callable[[dict[str, Any]], dict[str, dict[str, str]]]:
    """From a report to the state of each encoder file with each engine."""

    def states_of(found: dict[str, Any]) -> dict[str, dict[str, str]]:
        return {
            one["file"]: {engine["engine"]: engine["state"] for engine in one["engines"]}
            for one in found["kit"]["encoders"]
        }

    return states_of
