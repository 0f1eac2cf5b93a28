"""Figures as JSON has them."""

from __future__ import annotations

import math


def number(value: float) -> float | None:
    """A float of Python's, or None, which JSON calls null, in place of NaN."""
    return None if math.isnan(value) else float(value)
