"""People read the classes' names in their language; files, the log and JSON keep the kit's own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse.answering.class_names import class_names, shown
from edgefuse.answering.classifier import Classifier
from edgefuse.kits.kit import Kit
from edgefuse.kits.manifest import wrong_class_names
from edgefuse_runtimes.errors import BadInput

FRENCH = {"lumo": "tache lisse", "pavi": "tache ancienne", "ziru": "tache nouvelle"}


@pytest.fixture
def named_kit(careful_kit: Path, tmp_path: Path, repack: Callable[..., None]) -> Path:
    """A kit that refers, with all classes named in French and one in Hindi, with a joiner."""
    kit = Path(shutil.copytree(careful_kit, tmp_path / "named"))
    names = {"fr": FRENCH, "hi": {"lumo": "क्\u200dष"}}
    repack(kit, lambda manifest: manifest.update(class_names=names))
    return kit


@pytest.mark.parametrize(
    ("asked", "environment", "expected"),
    [
        ("fr", {"LANG": "en_GB.UTF-8"}, "tache lisse"),
        (None, {"LANG": "fr_FR.UTF-8"}, "tache lisse"),
        (None, {"LANG": "fr"}, "tache lisse"),
        (None, {"LC_ALL": "fr_CH", "LANG": "hi_IN"}, "tache lisse"),
        (None, {"LC_ALL": "", "LANG": "hi_IN.UTF-8"}, "क्\u200dष"),
        (None, {"LANG": "C.UTF-8"}, "lumo"),
        (None, {"LANG": "fra_XX"}, "lumo"),
        (None, {}, "lumo"),
    ],
)
def test_a_language_is_asked_for_or_the_environments(
    named_kit: Path, asked: str | None, environment: dict[str, str], expected: str
) -> None:
    assert class_names(Kit.open(named_kit), asked, environment)["lumo"] == expected


def test_a_class_without_a_name_keeps_its_own(named_kit: Path) -> None:
    assert class_names(Kit.open(named_kit), "hi", {})["pavi"] == "pavi"


@pytest.mark.parametrize("has_names", [True, False])
def test_a_language_that_the_kit_has_not_is_refused(named_kit: Path, tiny_kit: Path, has_names: bool) -> None:
    with pytest.raises(BadInput, match=f"choose of these: {'fr, hi' if has_names else 'none'}"):
        class_names(Kit.open(named_kit if has_names else tiny_kit), "sw", {})


def test_all_that_is_shown_is_named_and_nothing_else_changed(named_kit: Path) -> None:
    with Classifier.open(named_kit, engine="numpy", cache=False) as classifier:
        answer = classifier.predict(named_kit / "golden/0.png", "a note")
    french = shown(answer, FRENCH)
    assert french.label == FRENCH[answer.label]
    assert french.labels == [FRENCH[answer.label]]
    assert french.probabilities == {FRENCH[name]: chance for name, chance in answer.probabilities.items()}
    assert f"sure of {FRENCH[answer.label]}; it answers from" in str(french.reason)
    assert (french.kit, french.notes, french.number) == (answer.kit, answer.notes, answer.number)


def test_the_page_is_in_the_language_and_json_and_log_are_not(
    cli: Callable[..., Any], named_kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["classify", named_kit / "golden/0.png", "--note", "a note", "--kit", named_kit, "--engine", "numpy"]
    page = cli(*words, "--lang", "fr").out
    assert all(name in page for name in FRENCH.values())
    assert not any(name in page for name in FRENCH)
    monkeypatch.setenv("LANG", "fr_FR.UTF-8")
    assert set(json.loads(cli(*words, "--json").out)["probabilities"]) == set(FRENCH)
    asked = cli(*words, "--lang", "fr", "--json")
    assert (asked.code, asked.out) == (2, "")
    assert "--json names classes as the kit does, in any language; leave out --lang" in asked.err
    assert "tache" not in cli("results", "list").out
    assert "choose of these: fr, hi" in cli(*words, "--lang", "sw").refusal
    assert "fr: lumo = tache lisse, pavi = tache ancienne, ziru = tache nouvelle" in cli("kits", "show", named_kit).out


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ([], "no table of languages"),
        ({"fr": []}, "no table of languages"),
        ({"French": {}}, "'French' is no code of a language"),
        ({"fr": {"nv": "grain"}}, "names a class 'nv' in fr"),
        ({"fr": {"a": ""}}, "no short, plain texts"),
        ({"fr": {"a": "x\x1b[2J"}}, "no short, plain texts"),
        ({"fr": {"a": "\u202eevil"}}, "no short, plain texts"),
        ({"fr": {"a": "\u200d"}}, "no short, plain texts"),
        ({"fr": {"a": 1}}, "no short, plain texts"),
        ({"fr": {"a": "b"}}, "two of its classes have one name in fr"),
        ({"fr": {"a": "x", "b": "y"}, "sw": {}}, ""),
    ],
)
def test_names_that_no_manifest_may_have(said: Any, wrong: str) -> None:
    found = wrong_class_names(said, ["a", "b"])
    assert wrong in found
    assert bool(wrong) == bool(found)
