"""The question whether a pinned release has a known weakness."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from click.testing import CliRunner

from edgefuse_packaging import audit

FOUND = {
    "dependencies": [
        {"name": "click", "version": "8.5.1", "vulns": []},
        {
            "name": "pillow",
            "version": "13.0.0",
            "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["13.0.1"]}],
        },
    ]
}


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let pip-audit say something."""

    def say(stdout: str, stderr: str = "") -> None:
        done = subprocess.CompletedProcess([], 1, stdout, stderr)
        monkeypatch.setattr(audit.importlib.util, "find_spec", lambda name: object())
        monkeypatch.setattr(audit.subprocess, "run", lambda *_, **__: done)

    return say


def test_a_weakness_is_told_with_the_release_that_has_it_no_more(answer: Any) -> None:
    answer(json.dumps(FOUND))

    done = CliRunner().invoke(audit.main)

    assert done.exit_code == 3
    assert "pillow 13.0.0: PYSEC-1, fixed in 13.0.1" in done.output


def test_an_exception_goes_by_any_of_its_names(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(json.dumps(FOUND))
    monkeypatch.setattr(audit, "EXCEPTIONS", {"CVE-1": "the file format is refused before it is read"})

    assert CliRunner().invoke(audit.main).exit_code == 0


def test_a_service_that_is_away_is_no_clean_answer(answer: Any) -> None:
    answer("", "ConnectionError: no route")

    done = CliRunner().invoke(audit.main)

    assert done.exit_code == 2
    assert "did not answer (ConnectionError: no route)" in done.output


def test_a_release_that_the_service_does_not_know_is_no_clean_answer(answer: Any) -> None:
    answer(json.dumps({"dependencies": [{"name": "click", "skip_reason": "Dependency not found on PyPI"}]}))

    done = CliRunner().invoke(audit.main)

    assert done.exit_code == 2
    assert "told nothing of click" in done.output


def test_what_the_registrys_llama_cpp_needs_is_not_pinned() -> None:
    names = {line.split("==")[0] for line in audit.PINS.read_text().splitlines()}

    assert not names & {"diskcache", "jinja2"}
