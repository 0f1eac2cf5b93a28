"""A choice of `tune` lies beside the kit, and counts for this kit, this processor and this edgefuse only."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from edgefuse import Classifier
from edgefuse.kits.kit import Kit
from edgefuse.kits.tuned import StageChoice, engine_to_open, read_tuned, tuned_path, write_tuned
from edgefuse_runtimes.encoder import ENGINES
from edgefuse_runtimes.spec import Modality

pytestmark = pytest.mark.field

NOTE = "Age: 45 years."


@pytest.fixture
def kit(tiny_kit: Path, tmp_path: Path) -> Kit:
    """A copy, beside which a test may write."""
    return Kit.open(shutil.copytree(tiny_kit, tmp_path / "tiny.kit"))


def on_numpy(kit: Kit, **changes: Any) -> dict[Modality, StageChoice]:
    return {
        spec.modality: StageChoice(**({"engine": "numpy", "threads": 1, "precision": spec.precision} | changes))
        for spec in (kit.image, kit.text)
    }


def rewrite(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_what_was_written_is_read(kit: Kit) -> None:
    path = write_tuned(kit, on_numpy(kit), note="kept too")

    assert path == kit.folder.parent / "tiny.kit.tuned.json"
    assert read_tuned(kit) == (on_numpy(kit), "")
    said = json.loads(path.read_text())
    assert (said["kit"]["digest"], said["note"]) == (kit.digest, "kept too")
    assert "cpu" in said["machine"]
    Kit.open(kit.folder).verify()  # nothing was written into the kit


def test_without_a_file_nothing_is_said(kit: Kit) -> None:
    assert read_tuned(kit) == (None, "")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kit": {"digest": "another"}}, "made for another version of this kit"),
        ({"processor": "another"}, "made for another processor"),
        ({"edgefuse": "0.0.1"}, "made for edgefuse 0.0.1"),
        ({"schema": 99}, "made for schema 99"),
        ({"choice": {}}, "is damaged"),
        ({"choice": {"image": {"engine": "numpy"}}}, "is damaged"),
        ({"kit": None}, "is damaged"),
    ],
)
def test_a_stale_or_damaged_choice_is_left_with_a_sentence(kit: Kit, changes: dict[str, Any], sentence: str) -> None:
    path = write_tuned(kit, on_numpy(kit))
    rewrite(path, **changes)

    choice, said = read_tuned(kit)

    assert choice is None
    assert sentence in said
    assert said.endswith(f"run 'edgefuse tune {kit.folder}' again.")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"schema": 1}'])
def test_whatever_lies_there_costs_no_answer(kit: Kit, content: bytes) -> None:
    tuned_path(kit.folder).write_bytes(content)

    assert read_tuned(kit)[0] is None


@pytest.mark.parametrize("name", ["engine", "precision", "threads"])
def test_a_choice_of_the_wrong_kind_is_damage(kit: Kit, name: str) -> None:
    image, text = ({"engine": "numpy", "threads": 1, "precision": spec.precision} for spec in (kit.image, kit.text))
    rewrite(write_tuned(kit, on_numpy(kit)), choice={"image": image | {name: [1]}, "text": text})

    assert read_tuned(kit)[0] is None


@pytest.mark.parametrize("changes", [{"engine": "warp"}, {"threads": 0}, {"threads": "two"}, {"precision": "fp8"}])
def test_what_this_kit_or_edgefuse_has_not_is_left(kit: Kit, changes: dict[str, Any]) -> None:
    write_tuned(kit, on_numpy(kit, **changes))

    choice, said = read_tuned(kit)

    assert choice is None
    assert "names what this kit or this edgefuse has not" in said


def test_the_first_engine_of_a_format_is_asked_for_as_auto_so_that_it_is_probed(kit: Kit) -> None:
    for spec in (kit.image, kit.text):
        first, *_, last = (engine.name for engine in ENGINES[spec.format])
        assert engine_to_open(spec, StageChoice(first, 1, spec.precision)) == "auto"
        assert engine_to_open(spec, StageChoice(last, 1, spec.precision)) == last


def test_an_answer_is_given_as_tune_chose_and_says_so(kit: Kit) -> None:
    write_tuned(kit, on_numpy(kit))

    with Classifier.open(kit.folder, keep_open=False, cache=False) as classifier:
        prediction = classifier.predict(kit.folder / "golden" / "0.png", NOTE)

    assert prediction.tuned
    assert prediction.engines == {"image": "numpy", "text": "numpy"}
    assert prediction.to_json()["tuned"] is True


@pytest.mark.parametrize("option", [{"engine": "numpy"}, {"threads": 1}, {"precision": "int8"}])
def test_options_that_are_given_win(kit: Kit, option: dict[str, Any]) -> None:
    write_tuned(kit, on_numpy(kit))

    with Classifier.open(kit.folder, keep_open=False, cache=False, **option) as classifier:
        assert not classifier.predict(kit.folder / "golden" / "0.png", NOTE).tuned


def test_a_stale_choice_is_told_in_the_answer(kit: Kit) -> None:
    rewrite(write_tuned(kit, on_numpy(kit)), processor="another")

    with Classifier.open(kit.folder, keep_open=False, cache=False) as classifier:
        prediction = classifier.predict(kit.folder / "golden" / "0.png", NOTE)

    assert not prediction.tuned
    assert any("another processor" in note for note in prediction.notes)
