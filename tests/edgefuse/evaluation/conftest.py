"""Predictions without a head: drawn, and calibrated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgefuse.evaluation.predictions import METHODS, Predictions


@pytest.fixture(scope="session")
def make_predictions() -> Callable[..., Predictions]:
    """Draws predictions of so many rows and classes."""

    def make(n: int = 120, classes: int = 3, *, multilabel: bool = False, seed: int = 0) -> Predictions:
        """Methods that are the better the later they stand in METHODS; two rows a group."""
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 2, (n, classes)) if multilabel else rng.integers(0, classes, n)
        truth = labels if multilabel else np.eye(classes)[labels]
        probabilities = {}
        for skill, method in enumerate(METHODS):
            shift = 0.6 * skill
            logits = shift * (rng.normal(size=(n, classes)) + shift * (truth - 0.5))  # Bayes's rule: calibrated
            powers = np.exp(logits)
            probabilities[method] = powers / (1 + powers) if multilabel else powers / powers.sum(axis=1, keepdims=True)
        return Predictions(
            ids=np.array([f"s{k}" for k in range(n)]),
            labels=labels,
            groups=np.array([f"g{k // 2}" for k in range(n)]),
            subgroups={"sex": np.array(["female", "male", "male"])[np.arange(n) % 3]},
            classes=tuple("abcdefg"[:classes]),
            task="multilabel" if multilabel else "binary" if classes == 2 else "multiclass",
            probabilities=probabilities,
            unscaled=probabilities,
            thresholds={method: np.full(n, np.nan) for method in METHODS[1:]},
        )

    return make


@pytest.fixture(scope="session")
def predictions(make_predictions: Callable[..., Predictions]) -> Predictions:
    """120 rows of three classes."""
    return make_predictions()
