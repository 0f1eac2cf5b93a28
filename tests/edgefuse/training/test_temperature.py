"""The temperature that the likelihood wants."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse.training import temperature


@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("wanted", [0.7, 1.0, 3.0])
def test_logits_that_are_too_sure_by_a_factor_are_found_out(outputs: int, wanted: float) -> None:
    rng = np.random.default_rng(0)
    true = 2 * rng.normal(size=(20000, outputs))
    full = np.concatenate([np.zeros_like(true), true], axis=1) if outputs == 1 else true
    labels = (full + rng.gumbel(size=full.shape)).argmax(axis=1)  # drawn with the probabilities of softmax(full)
    assert temperature.fit((wanted * true).astype(np.float32), labels) == pytest.approx(wanted, rel=0.05)


@pytest.mark.parametrize("wanted", [0.7, 3.0])
def test_multilabel_logits_too(wanted: float) -> None:
    rng = np.random.default_rng(0)
    true = 2 * rng.normal(size=(8000, 3))
    labels = (rng.random(true.shape) < 1 / (1 + np.exp(-true))).astype(np.int64)
    assert temperature.fit((wanted * true).astype(np.float32), labels) == pytest.approx(wanted, rel=0.05)


def test_perfect_answers_do_not_make_it_boundless() -> None:
    found = temperature.fit(np.array([[5.0, 0.0], [0.0, 5.0]], np.float32), np.array([0, 1]))
    assert found == pytest.approx(temperature.LOWEST, rel=1e-2)
