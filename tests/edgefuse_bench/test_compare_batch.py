"""The script that compares a batch with its image encoder alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner
from PIL import Image

from edgefuse.batch.samples import read_samples


@pytest.fixture
def script(load_script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):  # the script sets them; put back after the test
        monkeypatch.setenv(name, os.environ[name])
    loaded = load_script("bench/compare_batch.py")
    monkeypatch.setattr(loaded, "SIZES", {"small": (64, 48), "large": (400, 300)})
    return loaded


def test_photos_have_their_size_and_notes_that_repeat(script: ModuleType, tmp_path: Path) -> None:
    script.write_photos(tmp_path / "photos", (64, 48), 7)
    samples, _ = read_samples(tmp_path / "photos")
    assert {Image.open(sample.image).size for sample in samples} == {(64, 48)}
    assert len(samples) == 7
    assert len({sample.note.read_text() for sample in samples}) == script.NOTES


def test_it_tells_rates_whose_ratio_is_theirs(script: ModuleType, tiny_kit: Path) -> None:
    options = ["--engine", "numpy", "--count", "3", "--photos", "2", "--rounds", "1"]
    done = CliRunner().invoke(script.main, [str(tiny_kit), *options])
    assert done.exit_code == 0, done.output
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(("small", "large"))]
    assert [row[:2] for row in rows] == [["small", "3"], ["large", "2"]]
    for row in rows:
        alone, together, batch = map(float, row[2:5])
        for rate, found in ((alone, row[5]), (together, row[9])):  # each is followed by "(least .. most)"
            ratio = float(found)
            assert ratio == pytest.approx(batch / rate, abs=0.02 + 0.06 * ratio / min(rate, batch))


def test_a_kit_that_is_not_there_gets_a_sentence(script: ModuleType, tmp_path: Path) -> None:
    done = CliRunner().invoke(script.main, [str(tmp_path / "no.kit")])
    assert done.exit_code == 2
    assert "compare_batch: There is no kit at" in done.stderr
