"""Student's t."""

from __future__ import annotations

import math

LEVEL = 0.95
"""Of every interval."""


def student(freedom: int, level: float = LEVEL) -> float:
    """What Student's t of `freedom` degrees stays within, either side of 0, with probability `level`.

    The probability is a finite sum in the angle atan(t / sqrt(freedom)) (Abramowitz and Stegun, 26.7.3 and 26.7.4).
    """
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        angle = (low + high) / 2
        low, high = (angle, high) if _within(angle, freedom) < level else (low, angle)
    return math.sqrt(freedom) * math.tan(low)


def _within(angle: float, freedom: int) -> float:
    sine, cosine = math.sin(angle), math.cos(angle)
    if freedom % 2:
        term, total = cosine, 0.0
        for k in range(1, freedom - 1, 2):  # 1, 3, ..., freedom - 2
            total += term
            term *= cosine**2 * (k + 1) / (k + 2)
        return 2 / math.pi * (angle + sine * total)
    term, total = 1.0, 0.0
    for k in range(0, freedom - 1, 2):  # 0, 2, ..., freedom - 2
        total += term
        term *= cosine**2 * (k + 1) / (k + 2)
    return sine * total
