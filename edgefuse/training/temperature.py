"""One number that makes probabilities as sure as they are right (Guo et al. 2017)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgefuse.training.losses import surprises

LOWEST, HIGHEST = 0.5, 10.0
"""A few hundred validation rows cannot justify more; where all are right, the best temperature would be 0."""


def fit(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature between LOWEST and HIGHEST with the least negative log-likelihood of the labels (n,) or (n, K).

    Golden-section search over its logarithm: the likelihood has one peak, as it is concave in 1 /
    temperature.
    """

    def surprise(log_temperature: float) -> float:
        scaled = logits / np.float32(math.exp(log_temperature))  # (n, C)
        return float(surprises(scaled, labels).mean(dtype=np.float64))

    low, high, ratio = math.log(LOWEST), math.log(HIGHEST), (math.sqrt(5) - 1) / 2
    while high - low > 1e-3:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if surprise(left) < surprise(right) else (left, high)
    return math.exp((low + high) / 2)
