"""`edgefuse align` as a user meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from edgefuse.commands.align import command
from edgefuse.embeddings.table import Table
from edgefuse.training import align
from edgefuse.training.recipe import train_head
from edgefuse.training.trainer import Settings
from edgefuse_runtimes.alignment import to_arrays
from edgefuse_runtimes.arrays import read_arrays


def _align(*arguments: object) -> str:
    outcome = CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


@pytest.mark.parametrize("components", [None, 4])
@pytest.mark.parametrize("method", align.METHODS)
def test_it_is_the_fit_that_train_makes(
    make_table: Callable[..., Table], tmp_path: Path, method: align.Method, components: int | None
) -> None:
    table = make_table()
    shift = 0.0 if method == "none" else 0.5
    more = [] if components is None else ["--text-components", components]
    told = json.loads(
        _align(table.folder, "--match", method, "--shift", shift, "--output", tmp_path / "A", "--json", *more)
    )
    assert json.loads((tmp_path / "A" / "alignment.json").read_text()) == told
    head = train_head(
        table, fusion="early", settings=Settings(epochs=1), shifts=(shift,), match=method, text_components=components
    )
    stored, wanted = read_arrays(tmp_path / "A" / "alignment.npz", "-"), to_arrays(head.alignment)
    assert stored.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(stored[name], array, err_msg=name)
    assert told["matching"] == head.training["matching"]
    assert {name: side["aligned_width"] for name, side in told["modalities"].items()} == head.training["widths"]
    if method != "none":
        assert told["gap"]["train"]["before"] == pytest.approx(head.training["gap"], rel=1e-5)
        assert told["gap"]["validation"]["after"] < told["gap"]["validation"]["before"]


def test_the_page_tells_widths_matching_and_gap(make_table: Callable[..., Table]) -> None:
    page = _align(make_table().folder)
    assert "fitted on 180 training rows, widths matched by project" in page
    assert "shift 1" in page
    assert "60 validation rows" in page


def test_without_a_matching_there_is_no_gap(make_table: Callable[..., Table]) -> None:
    page = _align(make_table().folder, "--match", "none")
    assert page.splitlines()[-1] == "The widths stay unequal, so there is no gap and nothing to shift."


def test_an_existing_output_is_refused(cli: Callable[..., Any], make_table: Callable[..., Table]) -> None:
    folder = make_table().folder
    assert "already exists" in cli("align", folder, "--output", folder).refusal
