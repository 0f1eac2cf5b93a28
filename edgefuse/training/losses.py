"""What training makes small: weighted cross-entropy, or its binary form for one logit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes import fusion

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


def class_weights(labels: Labels, classes: int) -> Floats:
    """w_c = N / (K n_c), shape (K,), over the training labels (n,): every class pulls alike."""
    counts = np.bincount(labels, minlength=classes)  # (K,)
    return (len(labels) / (classes * counts)).astype(np.float32)


def loss(logits: Floats, labels: Labels, weights: Floats) -> tuple[float, Floats]:
    """Mean loss over a batch, each row weighted by its class, and its derivative by the logits.

    Args:
        logits: (n, C), C = K classes, or C = 1 for two classes (binary cross-entropy of the second one).
        labels: (n,) class numbers.
        weights: (K,) class weights. The sum is divided by the rows' weights, as torch's cross_entropy does;
        the binary loss likewise, so that the weights act there too.

    Returns:
        The loss and its derivative (n, C).
    """
    share = weights[labels] / weights[labels].sum()  # (n,)
    chances = fusion.probabilities(logits)  # (n, K)
    rows = np.arange(len(labels))
    slope = chances.copy()  # (n, K)
    slope[rows, labels] -= 1
    slope *= share[:, None]
    value = float(share @ -log_probabilities(logits)[rows, labels])
    return value, slope[:, 1:] if logits.shape[1] == 1 else slope


def log_probabilities(logits: Floats) -> Floats:
    """Logarithms (n, K) of the class probabilities, finite where the probability itself would round to 0."""
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)  # (n, 2)
    shifted: Floats = logits - logits.max(axis=1, keepdims=True)  # (n, K)
    total: Floats = np.log(np.exp(shifted).sum(axis=1, keepdims=True))  # (n, 1)
    return shifted - total
