"""What a head answers from two sets of vectors, checked against scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse.embeddings.table import Table, open_table
from edgefuse.kits.encoders import Encoders
from edgefuse_export.parity.labels import Judge, Pair, compare_labels, open_judge
from edgefuse_export.parity.samples import Samples
from edgefuse_runtimes.errors import BadInput

metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed (extra dev)")


@pytest.fixture(scope="module")
def judge(tiny_workshop: Path) -> Judge:
    found = open_judge(tiny_workshop / "head", None)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def table(tiny_workshop: Path) -> Table:
    table = open_table(tiny_workshop / "table")
    return replace(table, text=table.text[:], image=table.image[:])


def samples_of(table: Table, labels: list[str] | None = None, groups: list[str] | None = None) -> Samples:
    ids = tuple(table.ids.tolist())
    known = tuple(labels or [table.classes[label] for label in table.labels])
    return Samples(ids, ("",) * len(ids), ("",) * len(ids), known, tuple(groups or ids), "t.csv", "t.csv", len(ids))


def shaken(vectors: np.ndarray, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, vectors.std(axis=0), vectors.shape)
    return (vectors + noise).astype(np.float32)


@pytest.fixture(scope="module")
def pairs(table: Table) -> tuple[Pair, Pair]:
    """Of pictures and of notes: vectors of the source, and badly rounded ones."""
    return Pair(table.image, shaken(table.image, 1)), Pair(table.text, shaken(table.text, 2))


def compared(judge: Judge, samples: Samples, pairs: tuple[Pair, Pair]) -> dict[str, Any]:
    return compare_labels(judge, samples, *pairs, {"image": "", "text": ""})


def test_one_side_at_a_time_and_both(judge: Judge, table: Table, pairs: tuple[Pair, Pair]) -> None:
    image, text = pairs
    found = compared(judge, samples_of(table), pairs)
    exported = judge.head.probabilities(text.exported, image.exported)
    sources = {
        "image": judge.head.probabilities(text.exported, image.source),
        "text": judge.head.probabilities(text.source, image.exported),
        "both": judge.head.probabilities(text.source, image.source),
    }
    assert found["comparisons"].keys() == sources.keys()
    for name, source in sources.items():
        comparison = found["comparisons"][name]
        before, after = source.argmax(axis=1), exported.argmax(axis=1)
        assert comparison["agreement"]["mean"] == pytest.approx((before == after).mean())
        assert [flip["id"] for flip in comparison["flips"]] == table.ids[before != after].tolist()
        for key, answers in (("source", before), ("exported", after)):
            f1 = metrics.f1_score(table.labels, answers, average="macro", labels=np.unique([*table.labels, *answers]))
            assert comparison["macro_f1"][key]["value"] == pytest.approx(f1)
            assert comparison["accuracy"][key]["value"] == pytest.approx((table.labels == answers).mean())
    assert len(found["comparisons"]["both"]["flips"]) > 0


def test_a_flip_tells_both_answers(judge: Judge, table: Table, pairs: tuple[Pair, Pair]) -> None:
    flip = compared(judge, samples_of(table), pairs)["comparisons"]["both"]["flips"][0]
    row = table.ids.tolist().index(flip["id"])
    image, text = pairs
    for side, probabilities in (
        ("source", judge.head.probabilities(text.source[row], image.source[row])),
        ("exported", judge.head.probabilities(text.exported[row], image.exported[row])),
    ):
        assert flip[side]["label"] == judge.head.classes[int(probabilities.argmax())]
        assert flip[side]["probability"] == pytest.approx(float(probabilities.max()), abs=1e-6)
    assert flip["label"] == table.classes[table.labels[row]]


def test_equal_vectors_give_equal_answers(judge: Judge, table: Table) -> None:
    same = Pair(table.image, table.image), Pair(table.text, table.text)
    for comparison in compared(judge, samples_of(table), same)["comparisons"].values():
        assert comparison["agreement"] == {"mean": 1.0, "standard_error": 0.0}
        assert comparison["flips"] == []
        assert comparison["macro_f1"]["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
        assert all(row["answered"] == row["stayed"] for row in comparison["per_class"])


def test_classes_are_counted_one_by_one(judge: Judge, table: Table, pairs: tuple[Pair, Pair]) -> None:
    found = compared(judge, samples_of(table), pairs)["comparisons"]["both"]
    assert [row["label"] for row in found["per_class"]] == list(judge.head.classes)
    assert sum(row["answered"] for row in found["per_class"]) == 60
    assert sum(row["answered"] - row["stayed"] for row in found["per_class"]) == len(found["flips"])
    assert [row["labelled"] for row in found["per_class"]] == np.bincount(table.labels, minlength=3).tolist()
    after = judge.head.probabilities(pairs[1].exported, pairs[0].exported).argmax(axis=1)
    expected = metrics.f1_score(table.labels, after, average=None, labels=range(3))
    assert [row["f1"]["exported"] for row in found["per_class"]] == pytest.approx(expected.tolist())


def test_without_labels_there_is_agreement_alone(judge: Judge, table: Table, pairs: tuple[Pair, Pair]) -> None:
    for labels in ([""] * 60, ["another word"] * 60):
        found = compared(judge, samples_of(table, labels), pairs)
        assert found["samples"]["labelled"] == 0
        assert "macro_f1" not in found["comparisons"]["both"]
        assert found["comparisons"]["both"]["agreement"]["mean"] < 1
        assert found["comparisons"]["both"]["per_class"][0]["f1"] == {"source": None, "exported": None}


def test_intervals_hold_the_value_and_are_wider_over_few_groups(
    judge: Judge, table: Table, pairs: tuple[Pair, Pair]
) -> None:
    alone = compared(judge, samples_of(table), pairs)
    after = judge.head.probabilities(pairs[1].exported, pairs[0].exported).argmax(axis=1)
    order = np.argsort(after == table.labels, kind="stable")  # right or wrong together: pictures of a lesion are alike
    groups = [""] * 60
    for place, row in enumerate(order):
        groups[row] = f"group {place // 10}"
    grouped = compared(judge, samples_of(table, groups=groups), pairs)
    assert (alone["bootstrap"]["units"], grouped["bootstrap"]["units"]) == (60, 6)
    widths = []
    for found in (alone, grouped):
        interval = found["comparisons"]["both"]["accuracy"]["exported"]
        assert interval["low"] < interval["value"] < interval["high"]
        widths.append(interval["high"] - interval["low"])
    assert widths[1] > widths[0]
    assert compared(judge, samples_of(table), pairs) == alone  # seeded


def test_a_bootstrap_of_accuracy_is_as_wide_as_theory_says(
    judge: Judge, table: Table, pairs: tuple[Pair, Pair]
) -> None:
    found = compared(judge, samples_of(table), pairs)["comparisons"]["both"]["accuracy"]["exported"]
    p = found["value"]
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * np.sqrt(p * (1 - p) / 60), rel=0.2)


def test_whether_the_head_knows_these_files_is_told(
    judge: Judge, table: Table, pairs: tuple[Pair, Pair], tiny_encoders: Path
) -> None:
    encoders = Encoders.open(tiny_encoders)
    files = {"image": encoders.image.sha256, "text": "another"}
    found = compare_labels(judge, samples_of(table), *pairs, files)
    assert found["head"]["trained_on_these_files"] == {"image": True, "text": False}
    assert found["head"]["drawn"]


def test_a_kit_judges_by_its_head(tiny_kit: Path, judge: Judge, table: Table, pairs: tuple[Pair, Pair]) -> None:
    of_kit = open_judge(None, tiny_kit)
    assert of_kit is not None
    assert (judge.name, of_kit.name) == ("the head head", "the kit tiny 1")
    samples = samples_of(table)
    assert compared(of_kit, samples, pairs)["comparisons"] == compared(judge, samples, pairs)["comparisons"]


def test_one_head_judges(tiny_workshop: Path, tiny_kit: Path) -> None:
    assert open_judge(None, None) is None
    with pytest.raises(BadInput, match="Both --head and --kit are given"):
        open_judge(tiny_workshop / "head", tiny_kit)


def test_vectors_of_another_width_are_refused(judge: Judge, tiny_encoders: Path) -> None:
    encoders = Encoders.open(tiny_encoders)
    judge.check(encoders.image)
    judge.check(encoders.text)
    with pytest.raises(BadInput, match="reads image vectors 24 wide, and this encoder gives 25; name a head"):
        judge.check(replace(encoders.image, width=25))
