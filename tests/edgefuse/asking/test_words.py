"""The answer fits a small terminal, says what matters first, and claims no certainty."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from edgefuse.answering.prediction import Prediction
from edgefuse.asking.pictures import Found
from edgefuse.asking.words import answer_page, pictures_page, printable, shortened, welcome

KIT = {"name": "k", "version": "1", "digest": "d"}


def prediction(**changed: Any) -> Prediction:
    found: dict[str, Any] = {
        "image": None, "label": "nv", "labels": ["nv"], "referred": False, "reason": None,
        "probabilities": {"mel": 0.004, "nv": 0.996}, "kit": KIT, "missing": [], "engines": {}, "precisions": {},
        "cached": [], "timings_ms": {}, "memory": {}, "notes": [],
    }  # fmt: skip
    return Prediction(**found | changed)


def plain(lines: list[str]) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(lines))


def test_an_answer() -> None:
    page = plain(answer_page(prediction(number=17), drawn=False))
    assert "  ANSWER: nv  (over 99 of 100)\n" in page
    assert "Others: mel under 1 of 100." in page
    assert page.endswith("Stored as number 17.")
    assert "Note" not in page


def test_a_referral_comes_before_the_label() -> None:
    reason = "The fused head is 41.9% sure of mel; it answers from 62.0% on."
    page = plain(answer_page(prediction(referred=True, reason=reason), drawn=True))
    assert page.splitlines()[2] == "  REFER: ask a clinician"
    assert "ANSWER" not in page
    assert reason in " ".join(page.split())
    assert "its labels are invented" in page


def test_no_class_of_a_multilabel_kit() -> None:
    page = plain(answer_page(prediction(label="", labels=[], probabilities={"a": 0.2, "b": 0.1}), drawn=False))
    assert "ANSWER: none of the classes" in page
    assert "Others: a 20 of 100, b 10 of 100." in page


@pytest.mark.parametrize("referred", [True, False])
def test_the_longest_answer_fits_80_columns_and_24_lines(referred: bool) -> None:
    names = [f"class number {number}" for number in range(40)]
    long = prediction(
        labels=names[:1], probabilities=dict.fromkeys(names, 0.025), referred=referred, number=1234567,
        reason="The fused head is 41.9% sure of it; it answers from 62.0% on, where 90% of its answers were right.",
        notes=["The picture of 12 megapixels was decoded at 1/2 of its width and height for want of memory."] * 9,
    )  # fmt: skip
    lines = plain(answer_page(long, drawn=True)).splitlines()
    assert max(map(len, lines)) < 80
    assert len(lines) < 24
    assert "There are 6 more notes" in "\n".join(lines)


def test_the_first_screen_fits(tmp_path: Path) -> None:
    found = [Found(tmp_path / ("folder " * 20) / f"{number}.jpg", 1e9) for number in range(8)]
    lines = plain(
        [*welcome("ham-mini 1", [f"class {number}" for number in range(9)], refers=False), *pictures_page(found, 1)]
    )
    assert max(map(len, lines.splitlines())) < 80
    assert len(lines.splitlines()) < 18
    assert lines.endswith("/7.jpg")


def test_nothing_of_a_name_steers_the_terminal() -> None:
    assert shortened("a\x1b[2Jb\nc", 70) == "a [2Jb c"
    assert printable(["Läsion 皮膚 \udce4"], "ascii") == "L\\xe4sion \\u76ae\\u819a \\udce4"
