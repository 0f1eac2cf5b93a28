"""`edgefuse classify` as a user meets it: the answer, and one sentence for whatever cannot be answered."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse.answering.memory import plan

NOTE = "Age: 45 years. Sex: male. Localization: trunk."

Answer = Callable[..., dict[str, Any]]


def test_json_has_exactly_the_documented_keys(answer: Answer, picture: Path) -> None:
    found = answer(picture)
    answered = [
        "image",
        "label",
        "labels",
        "referred",
        "reason",
        "probabilities",
        "kit",
        "missing",
        "engines",
        "precisions",
        "cached",
    ]
    assert list(found) == [*answered, "timings_ms", "memory", "notes", "tuned", "number"]
    assert found["image"] == str(picture)
    assert found["label"] == max(found["probabilities"], key=found["probabilities"].get)
    assert list(found["probabilities"]) == ["lumo", "pavi", "ziru"]
    assert {name: found["kit"][name] for name in ("name", "version")} == {"name": "tiny", "version": "1"}
    assert (found["referred"], found["reason"]) == (False, None)
    assert found["missing"] == []
    assert found["engines"] == {"image": "numpy", "text": "numpy"}
    assert found["precisions"] == {"image": "int8", "text": "q8_0"}
    assert set(found["timings_ms"]) == {"load", "image", "decode", "text", "tokenise", "head", "total"}
    assert set(found["memory"]) == {"peak_rss_bytes", "anon_bytes", "file_bytes"}
    assert found["notes"] == []


def test_the_page_says_the_same(cli: Callable[..., Any], answer: Answer, tiny_kit: Path, picture: Path) -> None:
    page = cli("classify", picture, "--note", NOTE, "--kit", tiny_kit, "--engine", "numpy").out
    found = answer(picture)
    _, headline, _, *bars = page.splitlines()
    assert headline.split()[0] == found["label"]
    shown = {words[0]: words[-1] for words in map(str.split, bars[:3])}
    assert shown == {name: f"{probability:.1%}" for name, probability in found["probabilities"].items()}
    assert "drawn example" in page  # what this kit was trained on


def test_an_answer_that_is_not_sure_enough_is_referred(
    cli: Callable[..., Any], careful_kit: Path, picture: Path
) -> None:
    ask = ["classify", picture, "--note", NOTE, "--kit", careful_kit, "--engine", "numpy"]
    outcome = cli(*ask)
    assert outcome.code == 0
    assert outcome.out.splitlines()[1] == "  REFER  ask a clinician"
    found = json.loads(cli(*ask, "--json").out)
    assert found["referred"] is True
    assert found["label"] == max(found["probabilities"], key=found["probabilities"].get)
    assert found["reason"].startswith("The fused head is ")
    assert found["reason"] in outcome.out
    alone = json.loads(cli("classify", picture, "--kit", careful_kit, "--engine", "numpy", "--json").out)
    assert (alone["referred"], alone["reason"]) == (False, None)  # the image-only head has a threshold of its own


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "iso-8859-1"])
def test_the_page_keeps_to_what_the_terminal_can_show(
    tiny_kit: Path, picture: Path, tmp_path: Path, encoding: str
) -> None:
    named = Path(shutil.copy(picture, tmp_path / "皮膚.png"))
    arguments = ["classify", str(named), "--note", "x" * 2000, "--kit", str(tiny_kit), "--engine", "numpy"]
    page = printed(*arguments, encoding=encoding).decode(encoding)
    assert ("█" in page) == ("皮膚.png" in page) == (encoding == "utf-8")
    assert page.isascii() == (encoding != "utf-8")
    assert ".png" in page
    assert "tokens were not read" in page


@pytest.mark.parametrize("form", [["--json"], []])
def test_a_file_name_that_is_not_utf8_is_answered(
    tiny_kit: Path, picture: Path, tmp_path: Path, form: list[str]
) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/L\xe4sion.png")
    shutil.copy(picture, odd)
    said = printed("classify", odd, "--note", "new", "--engine", "numpy", "--kit", str(tiny_kit), *form)
    assert "sion.png" in said.decode("utf-8")
    if form:
        assert json.loads(said)["image"] == odd


def printed(*arguments: str, encoding: str = "utf-8") -> bytes:
    """What a process of its own writes to a terminal of this encoding."""
    environment = os.environ | {"PYTHONIOENCODING": f"{encoding}:strict", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "edgefuse", *arguments]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


@pytest.mark.parametrize(
    ("options", "variable", "expected"),
    [([], "low", "low"), (["--memory", "normal"], "low", "normal"), ([], "", "auto")],
)
def test_the_memory_setting_comes_from_the_option_or_the_environment(
    answer: Answer,
    picture: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    variable: str,
    expected: str,
) -> None:
    asked = []
    monkeypatch.setattr(
        "edgefuse.answering.classifier.plan",
        lambda request, available: asked.append(request.memory) or plan(request, available),
    )
    if variable:
        monkeypatch.setenv("EDGEFUSE_MEMORY", variable)

    answer(picture, "--engine", "numpy", *options)

    assert set(asked) == {expected}
