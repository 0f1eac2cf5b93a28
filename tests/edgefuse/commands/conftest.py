"""The doctor's report, as its tests ask for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


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
