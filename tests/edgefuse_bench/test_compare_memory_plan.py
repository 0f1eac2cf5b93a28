"""The script that compares the memory plan with processes, on tiny encoders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from edgefuse.answering.memory import ways_to_run
from edgefuse.kits.encoders import Encoders


@pytest.fixture(scope="module")
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("bench/compare_memory_plan.py")


def test_every_way_of_every_encoder_gets_a_row(script: ModuleType, tiny_encoders: Path) -> None:
    outcome = CliRunner().invoke(script.main, [str(tiny_encoders), "--tolerance", "9"])

    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout.splitlines()[-1] == "8 of 8 within 900%"
    rows = [line.split() for line in outcome.stdout.splitlines() if line.startswith(("image.onnx", "text.gguf"))]
    opened = Encoders.open(tiny_encoders)
    expected = [
        [spec.file, way.engine, way.memory, str(way.side_by_side)]
        for spec in (opened.image, opened.text)
        for way in ways_to_run(spec.format, "auto", "auto")
    ]
    assert [[row[0], *row[-6:-3]] for row in rows] == expected
    for row in rows:
        predicted, measured, ratio = map(float, row[-3:])
        assert measured > 10  # an interpreter with numpy takes more
        assert ratio == pytest.approx(predicted / measured, rel=0.15)


def test_a_folder_without_encoders_is_refused(script: ModuleType, tmp_path: Path) -> None:
    outcome = CliRunner().invoke(script.main, [str(tmp_path)])

    assert outcome.exit_code == 2
    assert "compare_memory_plan: " in outcome.output


def test_what_lies_outside_is_named_and_ends_with_exit_code_1(script: ModuleType, tiny_encoders: Path) -> None:
    outcome = CliRunner().invoke(script.main, [str(tiny_encoders), "--kept", "--tolerance", "0"])

    assert outcome.exit_code == 1
    assert "many samples" in outcome.stdout
    named = [line for line in outcome.stdout.splitlines() if line.startswith("outside: ")]
    assert any("text.gguf by numpy, memory low" in line for line in named)
