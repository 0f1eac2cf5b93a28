"""`edgefuse bench run`: what is asked for and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from bench_runs import bench

from edgefuse.answering.classifier import Classifier
from edgefuse.kits.kit import Kit
from edgefuse_bench.result import read_results


def test_own_labelled_samples_get_figures(tiny_kit: Path, tmp_path: Path) -> None:
    kit = Kit.open(tiny_kit)
    said = [kit.classes[row["probabilities"].index(max(row["probabilities"]))] for row in kit.manifest["golden"]]
    rows = [f"{kit.file(f'golden/{number}.png')},{said[number]}" for number in range(8)]
    rows[0] = rows[0].replace(said[0], next(name for name in kit.classes if name != said[0]))
    (tmp_path / "broken.png").write_text("no picture")
    (tmp_path / "t.csv").write_text("\n".join(["image,label", *rows, f"{tmp_path / 'broken.png'},{said[0]}"]) + "\n")

    done = bench(
        tiny_kit, "--samples", tmp_path / "t.csv", "--engine", "numpy", "--queries", "10", "--repeats", "1",
        "--json", tmp_path / "r.json",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    (result,) = read_results(tmp_path / "r.json")
    assert result.samples == {"source": "folder", "drawn": False, "count": 9}
    assert result.accuracy["samples"]["n"] == 8
    assert result.engines == {"image": "numpy", "text": None}
    assert "1 of 9 samples cannot be read and were left out." in result.notes
    assert "your 8 labelled samples" in done.stdout
    assert "answers mean nothing" not in done.stdout
    assert str(tmp_path) not in (tmp_path / "r.json").read_text()  # names of pictures stay on the device


def test_evaluation_samples_of_a_kit_get_figures_of_the_very_same_answers(labelled_kit: Path, tmp_path: Path) -> None:
    kit, file = Kit.open(labelled_kit), tmp_path / "r.json"
    count = len(kit.evaluation_samples)

    done = bench(kit.folder, "--engine", "numpy", "--queries", str(count), "--repeats", "1", "--json", file)

    assert done.returncode == 0, done.stderr
    (result,) = read_results(file)
    assert result.samples == {"source": "evaluation", "drawn": True, "count": count}
    assert {query.sample for query in (result.first, *result.warmup, *result.queries)} == set(range(count))
    with Classifier.open(kit.folder, engine="numpy", cache=False) as classifier:
        right = [
            classifier.predict(kit.file(each["image"]), kit.file(each["text"]).read_text()).label == each["label"]
            for each in kit.evaluation_samples
        ]
    assert (result.accuracy["samples"]["n"], result.accuracy["samples"]["accuracy"]) == (count, sum(right) / count)
    assert result.accuracy["golden"]["labels_changed"] == 0
    assert f"the kit's {count} evaluation samples: {sum(right) / count:.3f} (" in " ".join(done.stdout.split())
    assert "your" not in done.stdout
    schema = json.loads((Path(__file__).parents[3] / "docs/reference/bench-result.schema.json").read_bytes())
    jsonschema.Draft202012Validator(schema).validate(json.loads(file.read_bytes()))


def test_each_combination_is_measured_and_written(tiny_kit: Path, tmp_path: Path) -> None:
    done = bench(
        tiny_kit, "--queries", "1", "--warmup", "0", "--repeats", "1", "--engine", "numpy", "--threads", "1",
        "--threads", "2", "--json", tmp_path / "r.json",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("SingleStream, 1 query, 1 process") == 2
    assert [result.settings["threads"] for result in read_results(tmp_path / "r.json")] == [1, 2]


def test_an_installed_kit_is_found_by_its_name(
    cli: Callable[..., Any], tiny_kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("kits", "install", tiny_kit, "--allow-unsigned").code == 0

    done = bench("tiny", "--queries", "1", "--warmup", "0", "--repeats", "1", "--engine", "numpy")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tiny 1: SingleStream")


def test_json_to_standard_output_is_nothing_but_json(tiny_kit: Path) -> None:
    done = bench(tiny_kit, "--queries", "1", "--warmup", "0", "--repeats", "1", "--engine", "numpy", "--json", "-")

    assert json.loads(done.stdout)["kit"]["name"] == "tiny"


def test_what_is_refused_is_one_sentence(cli: Callable[..., Any], tiny_kit: Path, tmp_path: Path) -> None:
    for arguments, sentence in (
        ([tmp_path / "missing.kit"], "There is no kit at"),
        ([tiny_kit, "--json", tmp_path], "is a folder"),
        ([tiny_kit, "--samples", "130"], "the number of queries is --queries 130"),
        ([tiny_kit, "--minutes", "1"], "--minutes is for --scenario sustained"),
        ([tiny_kit, "--scenario", "sustained", "--queries", "9"], "--queries is not for --scenario sustained"),
        ([tiny_kit, "--scenario", "cold", "--repeats", "9"], "--repeats is for --scenario single and offline"),
        ([tiny_kit, "--precision", "fp8"], "fp8"),
    ):
        assert sentence in cli("bench", "run", *arguments).refusal
