"""`edgefuse sweep` as a user meets it."""

from __future__ import annotations

import csv
import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgefuse.commands.sweep import command
from edgefuse.embeddings.table import Table, open_table
from edgefuse.training.recipe import train_head
from edgefuse.training.trainer import Settings
from edgefuse_runtimes.errors import BadInput


def _sweep(*arguments: object) -> str:
    words = [*map(str, arguments), "--epochs", "1", "--jobs", "1"]
    outcome = CliRunner().invoke(command, words, catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def _cells(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "cells.jsonl").read_text().splitlines()[1:]]


def test_it_leaves_cells_table_summary_and_figures(make_table: Callable[..., Table], tmp_path: Path) -> None:
    printed = _sweep(make_table().folder, "--output", tmp_path / "S", "--shifts", "-1,0,1", "--seeds", "2")
    names = {path.name for path in (tmp_path / "S").iterdir()}
    assert names == {"cells.jsonl", "sweep.csv", "sweep.json", "sweep.png", "sweep.svg"}
    with (tmp_path / "S" / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 2 * 2
    told = json.loads((tmp_path / "S" / "sweep.json").read_text())
    assert told["validation_rows"] == 60
    for fusion in ("early", "late"):
        found = told["fusions"][fusion]
        assert found["shifts"] == [-1, 0, 1]
        mine = [float(r["macro_f1"]) for r in rows if r["fusion"] == fusion and float(r["shift"]) == 1]
        assert found["macro_f1"]["mean"][2] == pytest.approx(sum(mine) / 2)
        assert f"{fusion}: take shift {found['chosen_shift']:g}, with" in printed


def test_the_same_command_goes_on_and_trains_nothing_twice(make_table: Callable[..., Table], tmp_path: Path) -> None:
    folder, output = make_table().folder, tmp_path / "S"
    _sweep(folder, "--output", output, "--shifts", "0,1", "--seeds", "1", "--fusion", "early")
    first = _cells(output)
    assert [(cell["shift"], cell["seed"]) for cell in first] == [(0, 0), (1, 0)]
    _sweep(folder, "--output", output, "--shifts", "0,0.5,1", "--seeds", "2", "--fusion", "early")
    cells = _cells(output)
    assert cells[:2] == first
    assert len(cells) == len({(cell["shift"], cell["seed"]) for cell in cells}) == 6
    before = (output / "cells.jsonl").read_bytes(), (output / "sweep.json").read_bytes()
    _sweep(folder, "--output", output, "--shifts", "0,0.5,1", "--seeds", "2", "--fusion", "early")
    assert ((output / "cells.jsonl").read_bytes(), (output / "sweep.json").read_bytes()) == before


def test_it_trains_as_train_does_with_the_same_options(make_table: Callable[..., Table], tmp_path: Path) -> None:
    folder = make_table().folder
    for name, more in (("plain", ()), ("pulled", ("--alignment-loss", "30"))):
        words = ("--output", tmp_path / name, "--shifts", "1.0", "--seeds", "1", "--fusion", "late")
        _sweep(folder, *words, *more)
    cells = {name: {c["fusion"]: c["macro_f1"] for c in _cells(tmp_path / name)} for name in ("plain", "pulled")}
    assert cells["plain"]["late"] != cells["pulled"]["late"]
    settings = Settings(epochs=1, alignment_loss=30)
    head = train_head(open_table(folder), fusion="late", settings=settings, shifts=(1.0,))
    assert cells["pulled"]["late"] == pytest.approx(head.validation["fused"]["macro_f1"])


def test_the_drawn_example_is_called_what_it_is(make_table: Callable[..., Table], tmp_path: Path) -> None:
    printed = _sweep(make_table(drawn=True).folder, "--output", tmp_path / "S", "--shifts", "1.0", "--seeds", "1")
    assert printed.splitlines()[-1] == "drawn example: not an accuracy figure for any real use"


def test_an_interrupted_sweep_goes_on(make_table: Callable[..., Table], tmp_path: Path) -> None:
    folder, output = make_table().folder, tmp_path / "S"
    words = ["sweep", folder, "--output", output, "--shifts", "0,1", "--seeds", "2", "--epochs", "400", "--jobs", "1"]
    process = subprocess.Popen([sys.executable, "-m", "edgefuse", *map(str, words)], stderr=subprocess.PIPE, text=True)
    while process.poll() is None and (not (output / "cells.jsonl").exists() or len(_cells(output)) < 2):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "edgefuse: interrupted; nothing was left half written."
    done = _cells(output)
    assert 1 <= len(done) < 8
    outcome = CliRunner().invoke(command, [str(word) for word in words[1:]], catch_exceptions=False)
    assert outcome.exit_code == 0
    cells = _cells(output)
    assert cells[: len(done)] == done
    assert len(cells) == 8


def test_a_sweep_of_another_table_is_refused(
    cli: Callable[..., Any], make_table: Callable[..., Table], tmp_path: Path
) -> None:
    one, other = make_table(tmp_path / "one").folder, make_table(tmp_path / "other", seed=1).folder
    _sweep(one, "--output", tmp_path / "S", "--shifts", "0,1", "--seeds", "1")
    refused = cli("sweep", other, "--output", tmp_path / "S", "--shifts", "0,1", "--epochs", "1").refusal
    assert "holds a sweep of other inputs (table_sha256 differ)" in refused
    refused = cli("sweep", one, "--output", tmp_path / "S", "--shifts", "0,1", "--epochs", "2").refusal
    assert "other inputs (settings differ)" in refused


def test_unequal_widths_cannot_be_shifted(
    cli: Callable[..., Any], make_table: Callable[..., Table], tmp_path: Path
) -> None:
    folder = make_table().folder
    refused = cli("sweep", folder, "--output", tmp_path / "S", "--match", "none").refusal
    assert "take another --match than none, or --shifts 0" in refused
    assert not (tmp_path / "S").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [("many", "neither a number of shifts nor a list"), ("0,2", "outside -1 to 1"), ("1,nan", "outside -1 to 1")],
)
def test_shifts_that_are_none_are_refused(given: str, said: str, tmp_path: Path) -> None:
    outcome = CliRunner().invoke(command, ["V", "--output", str(tmp_path / "S"), "--shifts", given])
    assert outcome.exit_code == 2
    assert said in outcome.output


def test_the_default_is_21_shifts_in_steps_of_a_tenth() -> None:
    context = command.make_context("sweep", ["V", "--output", "S"])
    assert context.params["shifts"] == tuple(round(k / 10, 1) for k in range(-10, 11))
    assert math.copysign(1, context.params["shifts"][10]) == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--alignment-loss", "0.1"], "which only late fusion has"),
        (["--noise", "0.01", "--text-components", "2", "--fusion", "early"], "leave out one of the two"),
    ],
)
def test_settings_that_would_do_nothing_are_refused_as_in_train(
    make_table: Callable[..., Table], tmp_path: Path, options: list[str], sentence: str
) -> None:
    words = [str(make_table().folder), "--output", str(tmp_path / "S"), *options]
    outcome = CliRunner().invoke(command, words)
    assert isinstance(outcome.exception, BadInput)
    assert sentence in str(outcome.exception)
    assert not (tmp_path / "S").exists()
