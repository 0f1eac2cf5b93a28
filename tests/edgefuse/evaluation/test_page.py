"""The tables that people read."""

from __future__ import annotations

from typing import Any

import click
import pytest

from edgefuse.evaluation.page import brief, render, short, span
from edgefuse.evaluation.record import SCHEMA

FIGURES = {"accuracy": 0.5, "balanced_accuracy": 1.0, "macro_f1": 0.0625, "auroc": None}
BOUNDS = {"accuracy": [0.41, 0.6], "balanced_accuracy": [1.0, 1.0], "macro_f1": [0.0, 0.125], "auroc": None}
CALIBRATION = {
    "ece": 0.2,
    "ece_if_calibrated": {"mean": 0.04, "range": [0.02, 0.07]},
    "brier": 0.6,
    "log_loss": 1.4,
}

COST = {
    "head_mb": 2.377,
    "embeddings_mb_per_epoch": 241.48,
    "training_seconds_per_epoch": 0.46,
    "inference_seconds_per_epoch": 0.0123,
    "encoder_seconds_per_sample": None,
    "encoder_peak_rss_bytes": 300 << 20,
}


def evaluation(**changes: Any) -> dict[str, Any]:
    methods = ("majority", "text_only", "image_only", "fused")
    by_class = {"class_f1": {"mel": 0.25, "nv": None}, "class_auroc": {"mel": 0.9, "nv": 0.8}}
    intervals_by_class = {
        "class_f1": {"mel": [0.1, 0.3], "nv": None},
        "class_auroc": {"mel": [0.8, 1], "nv": [0.7, 0.9]},
    }
    difference = {"value": 0.042, "interval": [-0.01, 0.09]}
    return {
        "schema": SCHEMA,
        "dataset": {"name": "ham10000"},
        "drawn": False,
        "split": {"part": "test", "seed": 3},
        "task": "binary",
        "classes": ["mel", "nv"],
        "n": 80,
        "groups": 60,
        "rows_per_class": {"mel": 20, "nv": 60},
        "bootstrap": {"draws": 2000, "seed": 0, "level": 0.95, "unit": "group"},
        "metrics": dict.fromkeys(methods, FIGURES | by_class),
        "intervals": dict.fromkeys(methods, BOUNDS | intervals_by_class),
        "differences": {name: dict.fromkeys(FIGURES, difference) for name in methods[:-1]},
        "calibration": {
            "claims": "the likeliest class",
            "bins": 10,
            "methods": {"fused": {"before": CALIBRATION | {"n": 80}, "after": CALIBRATION | {"n": 80}}},
        },
        "referral": None,
        "subgroups": {},
        "cost": {"machine": "a Pi", "rows": {"train": 320, "test": 80}, "methods": {"fused": COST}},
    } | changes


def lines(**changes: Any) -> list[str]:
    return [click.unstyle(line) for line in render(evaluation(**changes))]


def test_a_figure_stands_with_its_interval_below_its_title() -> None:
    printed = lines()
    assert printed[0] == "ham10000: 80 test rows of 60 groups, split seed 3"
    assert printed[1] == "95% intervals over 2000 draws of whole groups"
    [title] = [line for line in printed if line.endswith("AUROC") and "macro-F1" in line]
    fused = next(line for line in printed if line.startswith("fused "))
    assert fused == "fused           .500 [.41, .60] 1.000 [1.00, 1.00]    .062 [.00, .12]                  -"
    assert len(fused) == len(title)


@pytest.mark.parametrize(
    ("interval", "color"), [([-0.01, 0.09], None), ([0.01, 0.09], "green"), ([-0.09, -0.01], "red"), (None, None)]
)
def test_a_difference_is_coloured_where_its_interval_leaves_out_0(interval: list[float] | None, color: str) -> None:
    cell = {"value": 0.042, "interval": interval}
    differences = {name: dict.fromkeys(FIGURES, cell) for name in ("majority", "text_only", "image_only")}
    printed = render(evaluation(differences=differences))
    start = next(k for k, line in enumerate(printed) if line.startswith("fused minus"))
    text = f"+.042 {span(interval, signed=True)}".rstrip()
    assert printed[start + 3].count(click.style(f"{text:>19}", fg=color)) == 4


def test_every_class_has_a_line_with_its_rows() -> None:
    printed = lines()
    start = next(k for k, line in enumerate(printed) if line.startswith("class "))
    assert printed[start + 1].split() == [
        "mel",
        "20",
        ".250",
        ".250",
        ".250",
        "[.10,",
        ".30]",
        ".900",
        "[.80,",
        "1.00]",
    ]
    assert printed[start + 2].split() == ["nv", "60", "-", "-", "-", ".800", "[.70,", ".90]"]


def test_the_calibration_error_stands_beside_what_chance_gives() -> None:
    assert "after temperature           .200       .040 [.02, .07]      .600     1.400" in lines()
    assert "10 bins over 80 claims, of the likeliest class" in lines()


def test_the_drawn_example_and_a_split_of_its_own_are_said() -> None:
    assert lines(drawn=True)[-1] == "drawn example: not an accuracy figure for any real use"
    assert lines(split={"part": "test", "seed": None})[0].endswith("groups, its own split")
    assert brief(evaluation(drawn=True))[-1] == "drawn example: not an accuracy figure for any real use"


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [
        (0.7134, False, ".713"),
        (1.0, False, "1.000"),
        (0.9999, False, "1.000"),
        (-0.0421, True, "-.042"),
        (0.0421, True, "+.042"),
        (0.0, True, "+.000"),
        (-1.0, True, "-1.000"),
        (1.405, False, "1.405"),
        (None, False, "-"),
    ],
)
def test_shares_are_written_short(value: float | None, signed: bool, text: str) -> None:
    assert short(value, signed=signed) == text


def test_what_referring_gives_is_told() -> None:
    def valued(value: float, low: float, high: float) -> dict[str, Any]:
        return {"value": value, "interval": [low, high]}

    fused = {
        "accuracy_at_coverage": valued(0.7, 0.6, 0.8),
        "gain": valued(0.08, 0.04, 0.12),
        "area": valued(0.2, 0.1, 0.3),
        "least_area": 0.1,
        "threshold": None,
    }
    printed = "\n".join(lines(referral={"coverage": 0.8, "methods": {"fused": fused}}))
    assert "the surest 80% of the answers of fused: accuracy .700 [.60, .80], +.080 [+.04,+.12] against all" in printed
    assert "area under its risk-coverage curve: .200 [.10, .30]; least with as many errors .100" in printed
    assert "it has no threshold (see 'train --refer-accuracy') and refers nothing" in printed
    fused["threshold"] = {"coverage": valued(0.5, 0.4, 0.6), "accuracy": {"value": None, "interval": None}}
    printed = "\n".join(lines(referral={"coverage": 0.8, "methods": {"fused": fused}}))
    assert "its own threshold answers .500 [.40, .60] of the rows, with accuracy -" in printed


def test_small_subgroups_are_marked() -> None:
    whole = evaluation()
    part = {key: whole[key] for key in ("n", "groups", "metrics", "intervals", "differences")}
    few = {"female": ["rows", "mel"], "male": [], "other": ["mel"], "unknown": ["mel", "nv"], "": []}
    printed = lines(subgroups={"sex": {value: part | {"too_few": found} for value, found in few.items()}})
    start = next(k for k, line in enumerate(printed) if line.startswith("sex "))
    assert printed[start + 1].endswith("  small")
    assert printed[start + 2].split()[:4] == ["male", "80", "60", ".500"]
    assert len(printed[start + 2]) == len(printed[start])
    assert printed[start + 3].endswith("  few of 1 class")
    assert printed[start + 4].endswith("  few of 2 classes")
    assert printed[start + 5].startswith("(not known) ")


def test_time_and_memory_are_told_with_the_machine() -> None:
    printed = lines()
    start = next(k for k, line in enumerate(printed) if line.startswith("an epoch of"))
    assert printed[start + 1].split() == ["fused", "2.38", "241.48", "0.46", "0.0123", "-", "300"]
    assert printed[start + 2] == "320 training and 80 test rows, a Pi"
