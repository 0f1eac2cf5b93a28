"""`edgefuse tune` from the command line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edgefuse import Classifier
from edgefuse.kits.kit import Kit
from edgefuse.kits.tuned import StageChoice, read_tuned, tuned_path
from edgefuse_bench.commands.tune import command
from edgefuse_bench.tuning.search import Configuration, Ran
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.spec import Modality


@pytest.fixture
def kit(tiny_kit: Path, tmp_path: Path) -> Kit:
    """A copy, beside which a test may write."""
    return Kit.open(shutil.copytree(tiny_kit, tmp_path / "tiny.kit"))


@pytest.fixture
def numpy_is_fast(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """On this machine numpy with one thread takes half the time of everything else."""

    def measure(folder: Path) -> Any:
        def run(one: Configuration, queries: int, limit_s: float) -> Mapping[Modality, Ran]:
            ms = 5 if (one.engine, one.threads) == ("numpy", 1) else 10
            engines: dict[Modality, str] = {"image": "onnxruntime", "text": "llama.cpp"}
            specs = {"image": kit.image, "text": kit.text}
            return {
                modality: Ran(
                    StageChoice(native if one.engine == "auto" else one.engine, one.threads, specs[modality].precision),
                    ms * 1e6,
                )
                for modality, native in engines.items()
            }

        return run

    monkeypatch.setattr("edgefuse_bench.tuning.running.measure", measure)
    monkeypatch.setattr("edgefuse_bench.tuning.candidates.usable_cores", lambda: 2)


def tune(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments), catch_exceptions=False)


@pytest.mark.usefixtures("numpy_is_fast")
def test_the_choice_lies_beside_the_kit_and_answers_follow_it(kit: Kit) -> None:
    outcome = tune(str(kit.folder), "--json")
    said = json.loads(outcome.stdout)

    assert said["file"] == str(tuned_path(kit.folder))
    choice, remark = read_tuned(kit)
    assert remark == ""
    assert choice is not None
    assert {(one.engine, one.threads) for one in choice.values()} == {("numpy", 1)}
    kit.verify()
    with Classifier.open(kit.folder, keep_open=False, cache=False) as classifier:
        answer = classifier.predict(kit.folder / "golden" / "0.png", "Age: 45 years.")
    assert (answer.tuned, answer.engines) == (True, {"image": "numpy", "text": "numpy"})


@pytest.mark.usefixtures("numpy_is_fast")
def test_the_page_has_at_most_100_columns_and_names_the_file(kit: Kit) -> None:
    outcome = tune(str(kit.folder))

    path = str(tuned_path(kit.folder))
    assert max(len(line) for line in outcome.stdout.splitlines() if path not in line) <= 100  # no path is broken
    assert "chosen" in outcome.stdout
    assert path in outcome.stdout


@pytest.mark.usefixtures("numpy_is_fast")
def test_forget_removes_what_was_chosen(kit: Kit) -> None:
    tune(str(kit.folder))

    assert "is removed" in tune(str(kit.folder), "--forget").stdout
    assert read_tuned(kit) == (None, "")
    assert "Nothing was tuned" in tune(str(kit.folder), "--forget").stdout


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_measured(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, access = kit.folder.parent, os.access  # root may write everywhere, so the system's word is replaced
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != parent and access(path, mode))
    monkeypatch.setattr("edgefuse_bench.tuning.running.measure", None)

    with pytest.raises(BadInput, match=r"tune writes .*tiny\.kit\.tuned\.json, and .* cannot be written"):
        tune(str(kit.folder))
    assert not tuned_path(kit.folder).exists()


def test_a_kit_is_measured_by_the_harness(kit: Kit) -> None:
    outcome = tune(str(kit.folder), "--minutes", "0.1", "--json")
    said = json.loads(outcome.stdout)

    assert said["runs"] >= 1
    usual = said["usual"]["image"]
    assert next(row for row in said["measured"]["image"] if row["usual"])["engine"] == usual["engine"]
    assert all(row["median_ns"] > 0 for rows in said["measured"].values() for row in rows)
    assert read_tuned(kit)[0] is not None


@pytest.mark.usefixtures("numpy_is_fast")
def test_on_an_emulated_processor_a_note_says_that_times_tell_nothing(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgefuse_bench.tuning.running.machine_card", lambda: {"emulated": True})

    assert "This processor is emulated" in tune(str(kit.folder)).stdout
