"""AdamW over one vector of parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

BLOCK = 1 << 14
"""Numbers updated at a time: the five arrays of a block (320 kB) stay in a core's cache."""


@dataclass(frozen=True)
class AdamW:
    """Settings; the defaults are the paper's, and torch's but for nothing."""

    learning_rate: float = 1e-3
    first_decay: float = 0.9
    second_decay: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.01


@dataclass
class Moments:
    """Running mean of the gradient and of its square, each (p,), and the steps done."""

    first: Floats
    second: Floats
    steps: int = 0

    @classmethod
    def zeros(cls, count: int) -> Moments:
        """Before the first step."""
        return cls(np.zeros(count, np.float32), np.zeros(count, np.float32))


def step(settings: AdamW, parameters: Floats, gradients: Floats, moments: Moments) -> None:
    """One update of `parameters` (p,) and `moments` in place.

    Decay is decoupled from the gradient (Loshchilov and Hutter 2019) and acts on every parameter, as in
    torch.
    """
    moments.steps += 1
    first_correction = 1 - settings.first_decay**moments.steps
    second_correction = 1 - settings.second_decay**moments.steps
    rate = np.float32(settings.learning_rate / first_correction)
    root = np.float32(1 / math.sqrt(second_correction))
    keep = np.float32(1 - settings.learning_rate * settings.weight_decay)
    b1, b2, epsilon = (
        np.float32(settings.first_decay),
        np.float32(settings.second_decay),
        np.float32(settings.epsilon),
    )
    scratch = np.empty(min(BLOCK, len(parameters)), np.float32)
    for start in range(0, len(parameters), BLOCK):
        part = slice(start, start + BLOCK)
        p, g, m, v = parameters[part], gradients[part], moments.first[part], moments.second[part]
        s = scratch[: len(p)]
        np.subtract(g, m, out=s)
        s *= 1 - b1
        m += s  # b1 m + (1 - b1) g
        np.multiply(g, g, out=s)
        s *= 1 - b2
        v *= b2
        v += s  # b2 v + (1 - b2) g^2
        np.sqrt(v, out=s)
        s *= root
        s += epsilon
        np.divide(m, s, out=s)
        s *= rate
        p *= keep
        p -= s
