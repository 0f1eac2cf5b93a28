"""Accuracy beside speed: golden samples against what was packed, labelled ones against their labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgefuse.kits.golden import golden_vectors
from edgefuse.kits.kit import Kit
from edgefuse_bench.accuracy import of_kit, on_golden, on_labels, share_interval


@pytest.fixture
def kit(tiny_kit: Path) -> Kit:
    return Kit.open(tiny_kit)


def packed(kit: Kit) -> dict[str, np.ndarray]:
    found = {spec.modality: golden_vectors(kit.file, spec) for spec in (kit.image, kit.text)}
    return found | {"probabilities": np.array([sample["probabilities"] for sample in kit.manifest["golden"]])}


def test_an_engine_that_gives_what_was_packed_changes_nothing(kit: Kit) -> None:
    found = on_golden(kit, (kit.image, kit.text), packed(kit))

    assert (found["n"], found["labels_changed"], found["worst_probability_shift"]) == (8, 0, 0)
    for error in found["vector_error"].values():
        assert error["worst"] == pytest.approx(0, abs=1e-12)


def test_what_an_engine_changes_is_told(kit: Kit) -> None:
    here = packed(kit)
    angle = 0.1
    vector = here["image"][2]
    other = np.zeros_like(vector)
    other[:2] = vector[1], -vector[0]  # at a right angle to the first two, and so to a vector that has only those
    here["image"][2] = 0
    here["image"][2, :2] = 1, 0
    expected = golden_vectors(kit.file, kit.image)[2]
    turned = 1 - expected[0] / np.linalg.norm(expected)
    here["probabilities"][5] = np.roll(here["probabilities"][5], 1)
    here["text"] *= 1 + angle  # longer, not turned

    found = on_golden(kit, (kit.image, kit.text), here)

    assert found["labels_changed"] == 1
    assert found["vector_error"]["image"]["worst"] == pytest.approx(turned, rel=1e-5)
    assert found["vector_error"]["image"]["mean"] == pytest.approx(turned / 8, rel=1e-5)
    assert found["vector_error"]["text"]["worst"] == pytest.approx(0, abs=1e-6)
    assert found["worst_probability_shift"] > 0


def test_files_of_another_precision_are_judged_by_their_own_vectors(kit_of_both: Path) -> None:
    kit = Kit.open(kit_of_both)
    specs = kit.encoders("fp32")
    here = {spec.modality: golden_vectors(kit.file, spec) for spec in specs}
    here["probabilities"] = kit.head.probabilities(here["text"], here["image"])

    found = on_golden(kit, specs, here)

    assert (found["labels_changed"], found["worst_probability_shift"]) == (0, 0)


def test_figures_of_labelled_samples_are_those_of_scikit_learn(kit: Kit) -> None:
    sklearn = pytest.importorskip("sklearn.metrics", reason="the reference for the figures")
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), 120)  # (n, K)
    truth = rng.integers(0, 3, 120)
    labels: list[str | None] = [kit.classes[number] for number in truth]
    labels[7] = None
    probabilities[9] = np.nan  # could not be read
    kept = [row for row in range(120) if row not in (7, 9)]
    said = probabilities[kept].argmax(axis=1)

    found = on_labels(kit, labels, probabilities, referred=[7, 11, 12])

    assert found["n"] == 118
    assert found["accuracy"] == pytest.approx(sklearn.accuracy_score(truth[kept], said))
    assert found["macro_f1"] == pytest.approx(sklearn.f1_score(truth[kept], said, average="macro"))
    assert found["accuracy_interval"] == share_interval(int((truth[kept] == said).sum()), 118)
    low, high = found["macro_f1_interval"]
    assert low < found["macro_f1"] < high
    assert found["referred"] == 2


@pytest.mark.parametrize(("right", "count"), [(0, 1), (4, 4), (27, 40), (40, 40), (0, 349), (210, 349)])
def test_the_interval_of_accuracy_is_wilsons(right: int, count: int) -> None:
    stats = pytest.importorskip("scipy.stats", reason="the reference for the interval")
    expected = stats.binomtest(right, count).proportion_ci(0.95, method="wilson")

    assert share_interval(right, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_without_labels_there_is_no_figure(kit: Kit) -> None:
    assert on_labels(kit, (), np.zeros((4, 3)), []) is None
    assert on_labels(kit, [None, "lumo"], np.array([[1, 0, 0], [np.nan] * 3]), []) is None


def test_the_kits_own_figures_stand_beside(kit: Kit) -> None:
    recorded = kit.manifest["evaluation"]

    found = of_kit(kit)

    assert found["accuracy"] == recorded["metrics"]["fused"]["accuracy"]
    assert (found["n"], found["part"], found["drawn"]) == (recorded["n"], "test", True)
    assert of_kit(Kit(kit.folder, {**kit.manifest, "evaluation": {}})) is None
