"""`edgefuse train` as a user meets it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from edgefuse.commands.train import command
from edgefuse.embeddings.mapped import read_shard
from edgefuse.embeddings.table import Table, shard_path, write_shard
from edgefuse.heads import open_head
from edgefuse.training import referral
from edgefuse.training.report import DRAWN
from edgefuse_runtimes.errors import BadInput


def _train(table: Path, output: Path, *more: str, fusion: str = "early") -> str:
    arguments = [str(table), "--fusion", fusion, "--output", str(output), "--epochs", "3", *more]
    outcome = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def test_it_writes_a_head_and_prints_validation_figures(make_table: Callable[..., Table], tmp_path: Path) -> None:
    printed = _train(make_table().folder, tmp_path / "H", "--seed", "3")
    head = open_head(tmp_path / "H")
    assert head.training["seed"] == 3
    assert head.training["epochs"] == 3
    assert "validation rows" in printed
    for name in ("majority", "text-only", "image-only", "fused"):
        assert name in printed
    assert f"{head.validation['fused']['macro_f1']:.3f}" in printed
    assert DRAWN not in printed


def test_every_option_reaches_the_settings(make_table: Callable[..., Table], tmp_path: Path) -> None:
    options = {
        "batch-size": 32,
        "learning-rate": 0.002,
        "weight-decay": 0.5,
        "hidden": 5,
        "depth": 2,
        "dropout": 0.25,
        "class-weights": "none",
        "patience": 1,
        "noise": 0.01,
        "alignment-loss": 0.3,
    }
    arguments = ["--average-image", *(text for name, value in options.items() for text in (f"--{name}", str(value)))]
    _train(make_table().folder, tmp_path / "H", *arguments, fusion="late")
    kept = open_head(tmp_path / "H").training
    found = {**kept, **kept["optimizer"], "batch_size": kept["batch"]}
    assert {name: found[name.replace("-", "_")] for name in options} == options
    assert found["average_image"] is True


@pytest.mark.parametrize(("fusion", "hidden"), [("early", 128), ("late", 64)])
def test_without_options_a_head_is_trained_as_in_the_paper(
    make_table: Callable[..., Table], tmp_path: Path, fusion: str, hidden: int
) -> None:
    arguments = [str(make_table().folder), "--fusion", fusion, "--output", str(tmp_path / "H")]
    assert CliRunner().invoke(command, arguments, catch_exceptions=False).exit_code == 0
    found = open_head(tmp_path / "H").training
    assert found["optimizer"] == {
        "learning_rate": 1e-3, "first_decay": 0.9, "second_decay": 0.999, "epsilon": 1e-8, "weight_decay": 0.01,
    }  # fmt: skip
    assert (found["epochs"], found["batch"], found["hidden"], found["depth"]) == (30, 64, hidden, 1)
    assert (found["dropout"], found["class_weights"], found["noise"]) == (0, "balanced", 0)
    assert (found["patience"], found["alignment_loss"], found["members"]) == (None, 0, 1)


def test_several_seeds_are_told_with_mean_and_spread(make_table: Callable[..., Table], tmp_path: Path) -> None:
    printed = _train(make_table().folder, tmp_path / "H", "--seeds", "2")
    spread = open_head(tmp_path / "H").validation["spread"]["fused"]["macro_f1"]
    assert "over 2 seeds" in printed
    assert f"{spread['mean']:.3f} ± {spread['sd']:.3f}" in printed


def test_noise_that_drowns_the_vectors_is_remarked_on(make_table: Callable[..., Table], tmp_path: Path) -> None:
    arguments = [str(make_table().folder), "--fusion", "early", "--epochs", "1", "--noise", "0.2"]
    outcome = CliRunner().invoke(command, [*arguments, "--output", str(tmp_path / "H")], catch_exceptions=False)
    assert "moves image vectors of length 1 by about 0.80" in outcome.stderr


def test_a_wanted_accuracy_gives_a_threshold_or_a_sentence(make_table: Callable[..., Table], tmp_path: Path) -> None:
    table = make_table()
    printed = _train(table.folder, tmp_path / "H", "--refer-accuracy", "0.9")
    rule = open_head(tmp_path / "H").referral
    assert rule is not None
    kept = rule.thresholds["fused"].validation
    answered = round(60 * kept.coverage)
    told = f"{answered} of 60 validation rows ({kept.coverage:.0%}) are answered, {kept.accuracy:.1%} of them rightly"
    assert told in printed
    assert ("so few say little" in printed) == (answered < 30)
    assert "referr" not in _train(table.folder, tmp_path / "without")
    assert open_head(tmp_path / "without").referral is None


def test_an_accuracy_that_is_never_reached_is_told(
    make_table: Callable[..., Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(referral, "choose_threshold", lambda made, wanted: None)
    printed = _train(make_table().folder, tmp_path / "H", "--refer-accuracy", "0.9")
    assert "no referral: at no threshold are 90% of the answers to validation rows right" in printed
    assert open_head(tmp_path / "H").referral is None


def test_a_given_shift_is_used(make_table: Callable[..., Table], tmp_path: Path) -> None:
    _train(make_table().folder, tmp_path / "H", "--shift", "-0.25", fusion="late")
    head = open_head(tmp_path / "H")
    assert head.alignment.shift == -0.25
    assert head.fusion == "late"


def test_a_shift_between_widths_that_stay_unequal_is_refused(
    cli: Callable[..., Any], make_table: Callable[..., Table], tmp_path: Path
) -> None:
    arguments = ["train", make_table().folder, "--fusion", "early", "--output", tmp_path / "H", "--match", "none"]
    assert "text has 24 and image 16 numbers" in cli(*arguments, "--shift", "0.5").refusal
    _train(tmp_path / "V", tmp_path / "H", "--match", "none")
    assert open_head(tmp_path / "H").alignment.gap is None


def test_the_drawn_example_is_called_what_it_is(make_table: Callable[..., Table], tmp_path: Path) -> None:
    printed = _train(make_table(drawn=True).folder, tmp_path / "H")
    assert "drawn example: not an accuracy figure for any real use" in printed
    assert open_head(tmp_path / "H").dataset["drawn"] is True


def test_an_existing_output_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "head.json").write_text("precious")
    with pytest.raises(BadInput, match="already exists"):
        CliRunner().invoke(command, ["nowhere", "--fusion", "early", "--output", str(tmp_path)], catch_exceptions=False)


def test_a_shift_outside_its_range_is_refused(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(command, ["V", "--fusion", "early", "--output", "H", "--shift", "2"])
    assert outcome.exit_code == 2
    assert "-1<=x<=1" in outcome.output


def test_nan_vectors_are_refused(cli: Callable[..., Any], make_table: Callable[..., Table], tmp_path: Path) -> None:
    table = make_table(tmp_path / "V")
    path = shard_path(table.folder, "text", 0)
    vectors = np.array(read_shard(path))
    vectors[7, 3] = np.nan
    write_shard(path, vectors)
    sentence = cli("train", table.folder, "--fusion", "early", "--output", tmp_path / "H").refusal
    assert sentence.startswith(f"{table.folder} holds NaN or infinite text vectors in 1 rows (s7);")
    assert [path.name for path in tmp_path.iterdir()] == ["V"]


def test_the_help_has_an_example() -> None:
    assert "Example: edgefuse train" in CliRunner().invoke(command, ["--help"]).output
