"""The page that people read."""

from __future__ import annotations

import click
import pytest

from edgefuse.answering.page import BAR, render
from edgefuse.answering.prediction import Prediction

PREDICTION = Prediction(
    image="photos/lesion.jpg",
    label="seborrhoeic",
    labels=["seborrhoeic"],
    referred=False,
    reason=None,
    probabilities={"nv": 0.25, "seborrhoeic": 0.5, "bcc": 0.0, "mel": 0.25},
    kit={"name": "ham-mini", "version": "3", "digest": "0" * 64},
    missing=[],
    engines={"image": "onnxruntime", "text": "numpy"},
    precisions={"image": "int8", "text": "q8_0"},
    cached=[],
    timings_ms={"load": 12.3, "image": 45.6, "text": 1234.5, "head": 0.25, "total": 1292.7},
    memory={"peak_rss_bytes": 300 << 20, "anon_bytes": 1, "file_bytes": 2},
    notes=["The note is too long: its last 3 tokens were not read."],
)


def page(*, drawn: bool = False, unicode: bool = True, prediction: Prediction = PREDICTION) -> list[str]:
    return click.unstyle(render(prediction, drawn=drawn, unicode=unicode)).splitlines()


def test_the_label_stands_first_with_its_probability() -> None:
    assert page()[1] == "  seborrhoeic  50%"


def test_of_several_labels_each_stands_with_its_probability_and_none_is_said_too() -> None:
    several = Prediction(**(vars(PREDICTION) | {"label": "nv|mel", "labels": ["nv", "mel"]}))
    assert page(prediction=several)[1] == "  nv  25%, mel  25%"
    none = Prediction(**(vars(PREDICTION) | {"label": "", "labels": []}))
    assert page(prediction=none)[1] == "  none of the classes"


@pytest.mark.parametrize(("unicode", "block"), [(True, "█"), (False, "#")])
def test_bars_are_aligned_sorted_and_as_long_as_their_share(unicode: bool, block: str) -> None:
    rows = page(unicode=unicode)[3:7]
    assert [row.split()[0] for row in rows] == ["seborrhoeic", "nv", "mel", "bcc"]
    assert [row[-6:] for row in rows] == [" 50.0%", " 25.0%", " 25.0%", "  0.0%"]
    assert {len(row) for row in rows} == {2 + len("seborrhoeic") + 2 + BAR + 7}
    assert {row.index(block) for row in rows[:3]} == {2 + len("seborrhoeic") + 2}
    assert rows[0].count(block) == BAR // 2
    assert rows[3].count(block) == 0


def test_a_bar_grows_by_eighths_of_a_character_where_there_are_such() -> None:
    bars = []
    for eighths in range(BAR * 8 + 1):
        share = eighths / (BAR * 8)
        prediction = Prediction(
            **(vars(PREDICTION) | {"label": "a", "labels": ["a"], "probabilities": {"a": share, "b": 1 - share}})
        )
        [row] = [row for row in page(prediction=prediction)[3:5] if row.startswith("  a ")]
        bars.append(row[5 : 5 + BAR])
    assert len(set(bars)) == BAR * 8 + 1
    assert (bars[0], bars[1], bars[8], bars[-1]) == (" " * BAR, "▏".ljust(BAR), "█".ljust(BAR), "█" * BAR)


def test_picture_kit_engines_times_and_memory_are_told() -> None:
    assert page()[8:13] == [
        "  picture  photos/lesion.jpg",
        "  kit      ham-mini 3",
        "  engines  image onnxruntime, text numpy",
        "  time     1293 ms: load 12, text 1234, image 46, head 0.2",
        "  memory   300 MiB at the most",
    ]


def test_what_was_missing_stands_nowhere() -> None:
    alone = {"image": None, "missing": ["image"], "engines": {"image": None, "text": "numpy"}}
    assert page(prediction=Prediction(**(vars(PREDICTION) | alone)))[8:12] == [
        "  kit      ham-mini 3",
        "  engines  text numpy",
        "  time     1293 ms: load 12, text 1234, head 0.2",
        "  memory   300 MiB at the most",
    ]


def test_a_vector_from_the_cache_is_told() -> None:
    known = Prediction(**(vars(PREDICTION) | {"cached": ["text"]}))
    assert page(prediction=known)[10] == "  engines  image onnxruntime, text numpy (vector from the cache)"


def test_every_note_is_told_and_the_drawn_example_is_called_what_it_is() -> None:
    assert page()[13:] == ["", f"  note     {PREDICTION.notes[0]}"]
    assert page(drawn=True)[14:] == [
        f"  note     {PREDICTION.notes[0]}",
        "  note     This kit was trained on the drawn example: its labels are invented, not medicine.",
    ]
    assert len(page(prediction=Prediction(**(vars(PREDICTION) | {"notes": []})))) == 13


def test_without_unicode_the_page_is_ascii() -> None:
    assert render(PREDICTION, drawn=True, unicode=False).isascii()
    assert not render(PREDICTION, drawn=True, unicode=True).isascii()


def test_a_referred_answer_says_so_before_anything_else() -> None:
    reason = "The fused head is 50.0% sure of seborrhoeic; it answers from 62.0% on."
    referred = Prediction(**(vars(PREDICTION) | {"referred": True, "reason": reason}))
    assert page(prediction=referred)[:5] == [
        "",
        "  REFER  ask a clinician",
        f"  {reason}",
        "",
        "  seborrhoeic  50%",
    ]
    assert page(prediction=referred)[5:] == page()[2:]
    assert "\x1b[32m" not in render(referred, drawn=False, unicode=True)  # nothing is green
