"""A multilabel data set from pictures to answers: every verb on the way, with tiny encoders on drawn pictures."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.special import expit

from edgefuse import Classifier
from edgefuse.datasets.drawn import write_example
from edgefuse.embeddings.table import open_table
from edgefuse.heads import open_head
from edgefuse.kits.kit import Kit
from edgefuse_export.parity.labels import Judge, Pair, compare_labels
from edgefuse_export.parity.samples import Samples

CLASSES = ["old", "ragged"]
HOLDS = {"lumo": "", "pavi": "old|ragged", "ziru": "ragged"}
"""Labels for the drawn example's classes; "old" alone is added by hand."""


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, tiny_encoders: Path) -> Path:
    """Table, head and kit of 90 drawn samples, of which any number of two classes holds."""
    from edgefuse.cli import main

    folder = tmp_path_factory.mktemp("multilabel")
    write_example(folder / "drawn", count=90)
    rows = list(csv.DictReader((folder / "drawn" / "table.csv").open()))
    for number, row in enumerate(rows):
        row["label"] = "old" if number % 9 == 0 else HOLDS[row["label"]]
    with (folder / "drawn" / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)

    steps = [
        f"extract --dataset {folder}/drawn/table.csv --multilabel --engine numpy --encoders {tiny_encoders} --output",
        f"train {folder}/V --fusion late --epochs 3 --output",
        f"pack --encoders {tiny_encoders} --head {folder}/H --name many --output",
    ]
    for step, made in zip(steps, ("V", "H", "many.kit"), strict=True):
        outcome = CliRunner().invoke(main, [*step.split(), str(folder / made)], catch_exceptions=False)
        assert outcome.exit_code == 0, outcome.output
    return folder


def test_the_head_has_a_logit_and_a_sigmoid_for_each_class(workshop: Path) -> None:
    head, table = open_head(workshop / "H"), open_table(workshop / "V")
    assert (head.task, head.classes, len(head.fused.bias)) == ("multilabel", ("old", "ragged"), 2)
    wanted = expit(head.logits("fused", table.text[:], table.image[:]) / head.temperature)
    found = head.probabilities(table.text[:], table.image[:])
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert np.abs(found.sum(axis=1) - 1).max() > 0.01


def test_its_figures_are_those_of_every_class(workshop: Path) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="compares with scikit-learn, which is not installed")
    head, table = open_head(workshop / "H"), open_table(workshop / "V")
    for part, figures in (
        ("validation", head.validation["fused"]),
        ("test", json.loads((workshop / "H" / "evaluation.json").read_text())["metrics"]["fused"]),
    ):
        rows = table.splits == part
        said = head.probabilities(table.text[rows], table.image[rows]) >= 0.5
        for name, wanted in (
            ("macro_f1", metrics.f1_score(table.labels[rows], said, average="macro")),
            ("accuracy", metrics.accuracy_score(table.labels[rows], said)),
        ):
            found = figures[name]["value"] if isinstance(figures[name], dict) else figures[name]
            assert found == pytest.approx(wanted), (part, name)


def test_a_kit_answers_with_every_class_that_holds(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kit = Kit.open(workshop / "many.kit")
    assert kit.head.task == "multilabel"
    assert [len(sample["probabilities"]) for sample in kit.manifest["golden"]] == [2] * 8
    with Classifier.open(workshop / "many.kit", engine="numpy") as classifier:
        sample = kit.manifest["golden"][0]
        given = kit.file(sample["image"]), kit.file(sample["text"]).read_text()
        found = classifier.predict(*given)
        np.testing.assert_allclose(list(found.probabilities.values()), sample["probabilities"], atol=1e-4)
        for chances, labels in (((0.5, 0.9), ["old", "ragged"]), ((0.1, 0.6), ["ragged"]), ((0.4, 0.49), [])):
            array = np.array([chances], np.float32)
            monkeypatch.setattr("edgefuse.heads.Head.probabilities", lambda *_, array=array: array)
            answer = classifier.predict(*given).to_json()
            assert (answer["labels"], answer["label"]) == (labels, "|".join(labels))
            assert answer["referred"] is False


def test_the_page_and_a_batch_say_so_too(workshop: Path, cli: Callable[..., Any], tmp_path: Path) -> None:
    kit = workshop / "many.kit"
    picture, note = kit / "golden" / "0.png", (kit / "golden" / "0.txt").read_text()
    given = ["--kit", kit, "--engine", "numpy"]
    one = json.loads(cli("classify", picture, "--note", note, "--json", *given).out)
    page = cli("classify", picture, "--note", note, *given).out
    assert (", ".join(f"{name}  {one['probabilities'][name]:.0%}" for name in one["labels"]) or "none of") in page
    (tmp_path / "many.csv").write_text(f'image,text\n{picture},"{note}"\n')
    assert cli("classify", tmp_path / "many.csv", "--output", tmp_path / "answers.jsonl", *given).code == 0
    line = json.loads((tmp_path / "answers.jsonl").read_text())
    assert (line["label"], line["labels"]) == (one["label"], one["labels"])


def test_parity_compares_every_class(workshop: Path) -> None:
    head, table = open_head(workshop / "H"), open_table(workshop / "V")
    source = -table.image[:]
    texts = ["|".join(name for name, is_so in zip(CLASSES, row, strict=True) if is_so) for row in table.labels]
    samples = Samples(tuple(table.ids), (), (), tuple(texts), tuple(table.groups), "drawn", "drawn", 90)
    pair = Pair(table.text[:], table.text[:])
    found = compare_labels(Judge(head, "the head H"), samples, Pair(source, table.image[:]), pair, {})
    before = head.probabilities(table.text[:], source) >= 0.5
    after = head.probabilities(table.text[:], table.image[:]) >= 0.5
    part = found["comparisons"]["image"]
    assert part["agreement"]["mean"] == pytest.approx((before == after).all(axis=1).mean())
    assert part["accuracy"]["exported"]["value"] == pytest.approx((after == table.labels).all(axis=1).mean())
    assert [row["answered"] for row in part["per_class"]] == before.sum(axis=0).tolist()
    assert [row["stayed"] for row in part["per_class"]] == (before & after).sum(axis=0).tolist()
    assert [row["labelled"] for row in part["per_class"]] == table.labels.sum(axis=0).tolist()
    assert len(part["flips"]) == (before != after).any(axis=1).sum()


def test_a_multilabel_head_cannot_refer(workshop: Path, cli: Callable[..., Any], tmp_path: Path) -> None:
    given = ["--fusion", "late", "--epochs", "1", "--refer-accuracy", ".9"]
    ended = cli("train", workshop / "V", *given, "--output", tmp_path / "H")
    assert (ended.code, "no single answer can be referred" in ended.err) == (2, True)
