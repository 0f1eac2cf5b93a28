"""Heads on the device: against torch, one sample against a batch, and arrays that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from edgefuse_runtimes import fusion
from edgefuse_runtimes.errors import BadInput

WIDTHS = {"text": 6, "image": 6}


def _head(kind: str, outputs: int = 3) -> fusion.Head:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    def branch(*reads: Any, widths: tuple[int, ...]) -> fusion.Branch:
        return fusion.Branch(reads, tuple(fusion.Layer(draw(h, d), draw(h)) for d, h in pairwise(widths)))

    branches = {
        "early": (branch("text", "image", widths=(12, 8)),),
        "late": (branch("text", widths=(6, 4)), branch("image", widths=(6, 4))),
        "image": (branch("image", widths=(6, 8)),),
        "deep": (branch("text", widths=(6, 7, 5, 4)), branch("image", widths=(6, 5, 4))),
    }[kind]
    return fusion.Head(branches, draw(outputs, 8), draw(outputs))


def _vectors(*shape: int) -> dict[Any, np.ndarray]:
    rng = np.random.default_rng(1)
    return {name: rng.normal(size=shape).astype(np.float32) for name in ("text", "image")}


@pytest.mark.parametrize("kind", ["early", "late", "image", "deep"])
def test_a_sample_alone_gets_what_it_gets_in_a_batch(kind: str) -> None:
    head, rows = _head(kind), _vectors(70, 6)
    together = fusion.probabilities(fusion.logits(head, rows))
    alone = [
        fusion.probabilities(fusion.logits(head, {name: vectors[k] for name, vectors in rows.items()}))
        for k in range(70)
    ]
    np.testing.assert_allclose(alone, together, rtol=1e-5)


def test_early_fusion_puts_the_text_first() -> None:
    torch = pytest.importorskip("torch", reason="compares with torch, which is not installed")
    head, rows = _head("early"), _vectors(5, 6)
    ((layer,),) = (branch.layers for branch in head.branches)
    joined = torch.cat([torch.tensor(rows["text"]), torch.tensor(rows["image"])], dim=1)
    hidden = torch.nn.functional.linear(joined, *map(torch.tensor, layer))
    wanted = torch.nn.functional.linear(hidden.relu(), torch.tensor(head.weight), torch.tensor(head.bias))
    np.testing.assert_allclose(fusion.logits(head, rows), wanted.numpy(), rtol=1e-5, atol=1e-6)


def test_a_baseline_needs_its_own_modality_only() -> None:
    vectors = {"image": _vectors(6)["image"]}
    assert fusion.logits(_head("image"), vectors).shape == (3,)


def test_probabilities_are_a_softmax_of_logits_over_temperature() -> None:
    torch = pytest.importorskip("torch", reason="compares with torch, which is not installed")
    logits = np.array([[1.0, -2.0, 300.0], [0.5, 0.25, 0.0]], np.float32)
    wanted = torch.softmax(torch.tensor(logits) / 2.5, dim=1).numpy()
    np.testing.assert_allclose(fusion.probabilities(logits, 2.5), wanted, rtol=1e-6)


def test_one_logit_gives_two_probabilities() -> None:
    found = fusion.probabilities(np.array([[0.0], [1.0], [-200.0]], np.float32))
    np.testing.assert_allclose(found, [[0.5, 0.5], [0.268941, 0.731059], [1, 0]], atol=1e-6)


def test_multilabel_probabilities_are_a_sigmoid_each() -> None:
    torch = pytest.importorskip("torch", reason="compares with torch, which is not installed")
    logits = np.array([[0.0, 1.0, -200.0], [200.0, -3.0, 5.0]], np.float32)
    found = fusion.probabilities(logits, 2.0, multilabel=True)
    np.testing.assert_allclose(found, torch.sigmoid(torch.tensor(logits) / 2).numpy(), rtol=1e-6, atol=1e-40)


def test_a_multilabel_head_of_two_classes_needs_two_logits() -> None:
    arrays = fusion.to_arrays(_head("early", 1))
    assert len(fusion.from_arrays(arrays, WIDTHS, 2).bias) == 1
    with pytest.raises(BadInput, match=r"in place of float32 \(2, 8\)"):
        fusion.from_arrays(arrays, WIDTHS, 2, multilabel=True)


@pytest.mark.parametrize(
    ("kind", "outputs", "classes"), [("early", 3, 3), ("late", 1, 2), ("image", 2, 2), ("deep", 3, 3)]
)
def test_arrays_bring_the_head_back(kind: str, outputs: int, classes: int) -> None:
    head, rows = _head(kind, outputs), _vectors(4, 6)
    again = fusion.from_arrays(fusion.to_arrays(head), WIDTHS, classes)
    np.testing.assert_array_equal(fusion.logits(again, rows), fusion.logits(head, rows))


def test_a_head_of_single_layers_has_the_arrays_that_older_heads_have() -> None:
    names = {f"branch{branch}.{what}" for branch in (0, 1) for what in ("reads", "weight", "bias")}
    assert set(fusion.to_arrays(_head("late"))) == {*names, "weight", "bias"}
    deep = set(fusion.to_arrays(_head("deep"))) - {*names, "weight", "bias"}
    assert {name.rpartition(".")[0] for name in deep} == {"branch0.layer1", "branch0.layer2", "branch1.layer1"}


def _without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda arrays: arrays.pop(name)


def _with(name: str, value: np.ndarray) -> Callable[[dict[str, Any]], None]:
    return lambda arrays: arrays.update({name: value})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_without("bias"), "lacks the array 'bias'"),
        (_without("branch1.weight"), "lacks the array 'branch1.weight'"),
        (_without("branch0.bias"), "lacks|in place of"),
        (_without("branch0.reads"), "does not say what branch0 reads"),
        (_with("branch0.reads", np.array("sound")), "does not say what branch0 reads"),
        (_with("branch0.reads", np.array("text+image")), r"\(4, 12\)"),
        (_with("weight", np.zeros((3, 7), np.float32)), r"in place of float32 \(3, 8\)"),
        (_with("weight", np.zeros((3, 8))), "float64"),
        (_with("bias", np.zeros(1, np.float32)), r"in place of float32 \(3,\)"),
        (_with("bias", np.array([0, np.nan, 0], np.float32)), "NaN"),
        (_with("branch2.reads", np.array("text")), "lacks the array 'branch2.weight'"),
        (lambda arrays: arrays.update({f"branch{k}.reads": np.array("text") for k in range(65)}), "65 branches"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: Callable[[dict[str, Any]], None], said: str) -> None:
    arrays = fusion.to_arrays(_head("late"))
    change(arrays)
    with pytest.raises(BadInput, match=said):
        fusion.from_arrays(arrays, WIDTHS, 3)


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("kind", ["early", "late"])
def test_one_head_gives_the_mean_logits_of_its_members(kind: str, count: int) -> None:
    rng = np.random.default_rng(0)
    members = [
        replace(_head(kind), weight=rng.normal(size=_head(kind).weight.shape).astype(np.float32)) for _ in range(count)
    ]
    vectors = {"text": rng.normal(size=(7, 6)).astype(np.float32), "image": rng.normal(size=(7, 6)).astype(np.float32)}
    head = fusion.mean_of(members)
    wanted = np.mean([fusion.logits(member, vectors) for member in members], axis=0)
    np.testing.assert_allclose(fusion.logits(head, vectors), wanted, rtol=1e-4, atol=1e-5)
    again = fusion.from_arrays(fusion.to_arrays(head), WIDTHS, 3)
    np.testing.assert_array_equal(fusion.logits(again, vectors), fusion.logits(head, vectors))
