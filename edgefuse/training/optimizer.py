"""AdamW, on any piece of the parameters at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


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
    """Sums that stand for the running means of the gradient and of its square, each (p,).

    The means are (1 - decay) times the sums, which saves two passes over the parameters in every step.
    """

    first: Floats
    second: Floats

    @classmethod
    def zeros(cls, count: int) -> Moments:
        """Before the first step."""
        return cls(np.zeros(count, np.float32), np.zeros(count, np.float32))


class Step(NamedTuple):
    """The numbers of one step, the same for every parameter."""

    first_decay: np.float32
    second_decay: np.float32
    keep: np.float32
    """What the weight decay leaves of a parameter."""
    rate: np.float32
    epsilon: np.float32


def step(settings: AdamW, number: int) -> Step:
    """Step `number`, counted from 1.

    AdamW (Loshchilov and Hutter 2019), with m and v the running means and t the step:

        p <- (1 - lr wd) p - lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon)

    With the sums M = m / (1 - b1), V = v / (1 - b2) and r = sqrt((1 - b2) / (1 - b2^t)) its last term is

        lr (1 - b1) / (1 - b1^t) / r * M / (sqrt(V) + epsilon / r)
    """
    b1, b2 = settings.first_decay, settings.second_decay
    root = math.sqrt((1 - b2) / (1 - b2**number))
    return Step(
        first_decay=np.float32(b1),
        second_decay=np.float32(b2),
        keep=np.float32(1 - settings.learning_rate * settings.weight_decay),
        rate=np.float32(settings.learning_rate * (1 - b1) / (1 - b1**number) / root),
        epsilon=np.float32(settings.epsilon / root),
    )


def update(now: Step, parameters: Floats, moments: Moments, gradients: Floats) -> None:
    """Do one step on parameters (q,) and their moments, in place; the gradients (q,) are used up.

    The decay is decoupled from the gradient and acts on every parameter, as in torch.
    """
    first, second, scratch = moments.first, moments.second, gradients
    first *= now.first_decay
    first += gradients
    np.multiply(gradients, gradients, out=scratch)
    second *= now.second_decay
    second += scratch
    np.sqrt(second, out=scratch)
    scratch += now.epsilon
    np.divide(first, scratch, out=scratch)
    scratch *= now.rate
    parameters *= now.keep
    parameters -= scratch
