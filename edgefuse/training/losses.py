"""What training makes small: weighted cross-entropy, or its binary form for one logit, or for each of many."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes import fusion

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


def class_weights(labels: Labels, classes: int) -> Floats:
    """w_c = N / (K n_c), shape (K,), over the training labels (n,): every class pulls alike.

    Of multilabel rows (n, K) each class is a task of its own with two classes, its absence and itself, which pull
    alike: N / (2 n_c), shape (2, K).
    """
    if labels.ndim == 2:
        positive = labels.sum(axis=0)  # (K,)
        counts = np.stack([len(labels) - positive, positive])  # (2, K)
        return (len(labels) / (2 * counts)).astype(np.float32)
    counts = np.bincount(labels, minlength=classes)  # (K,)
    return (len(labels) / (classes * counts)).astype(np.float32)


def loss(logits: Floats, labels: Labels, weights: Floats) -> tuple[float, Floats]:
    """Mean loss over a batch, each row weighted by its class, and its derivative by the logits.

    Args:
        logits: (n, C), C = K classes, or C = 1 for two classes (binary cross-entropy of the second one).
        labels: (n,) class numbers; multilabel: 0 and 1 (n, K), each with a binary cross-entropy of its own.
        weights: (K,) class weights; multilabel: (2, K). The sum is divided by the weights of all that is summed, as
        torch's cross_entropy does; the binary losses likewise, so that the weights act there too.

    Returns:
        The loss and its derivative (n, C).
    """
    if labels.ndim == 2:
        share = np.where(labels == 1, weights[1], weights[0])  # (n, K)
        share /= share.sum()
        value = float(np.sum(share * surprises(logits, labels)))
        return value, share * (fusion.sigmoid(logits) - labels).astype(logits.dtype)
    share = weights[labels] / weights[labels].sum()  # (n,)
    chances = fusion.probabilities(logits)  # (n, K)
    slope = chances.copy()  # (n, K)
    slope[np.arange(len(labels)), labels] -= 1
    slope *= share[:, None]
    value = float(share @ surprises(logits, labels))
    return value, slope[:, 1:] if logits.shape[1] == 1 else slope


def apart(outputs: Floats) -> tuple[float, Floats]:
    """How far the two branches of a late head are apart, and its derivative by their outputs (n, 2 h), text first.

    mean_i || t_i / |t_i| - p_i / |p_i| ||^2 over the pairs of outputs t and p: it pulls the two of a pair to one
    direction, whatever their lengths.
    """
    text, image = np.split(outputs, 2, axis=1)  # (n, h) each
    lengths = [np.linalg.norm(rows, axis=1, keepdims=True) + np.float32(1e-12) for rows in (text, image)]  # (n, 1)
    units = [rows / length for rows, length in zip((text, image), lengths, strict=True)]  # (n, h)
    difference = units[0] - units[1]  # (n, h)
    value = float(np.sum(difference**2) / len(outputs))
    by_units = difference * np.float32(2 / len(outputs)), difference * np.float32(-2 / len(outputs))
    slopes = [
        (slope - unit * np.sum(slope * unit, axis=1, keepdims=True)) / length  # (n, h): a unit cannot grow
        for slope, unit, length in zip(by_units, units, lengths, strict=True)
    ]
    return value, np.concatenate(slopes, axis=1)


def surprises(logits: Floats, labels: Labels) -> Floats:
    """Minus the logarithms of the probabilities of what is so: (n,), or of multilabel labels (n, K)."""
    if labels.ndim == 2:
        return np.logaddexp(np.zeros_like(logits), np.where(labels == 1, -logits, logits))
    return -log_probabilities(logits)[np.arange(len(labels)), labels]


def log_probabilities(logits: Floats) -> Floats:
    """Logarithms (n, K) of the class probabilities, finite where the probability itself would round to 0."""
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)  # (n, 2)
    shifted: Floats = logits - logits.max(axis=1, keepdims=True)  # (n, K)
    total: Floats = np.log(np.exp(shifted).sum(axis=1, keepdims=True))  # (n, 1)
    return shifted - total
