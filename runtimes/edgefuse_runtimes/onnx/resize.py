"""The Resize operator: along each axis, every output position is a weighted sum of input positions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgefuse_runtimes.onnx.tensor import Array


def resize(
    x: Array,
    roi: Array | None = None,
    scales: Array | None = None,
    sizes: Array | None = None,
    *,
    mode: str = "nearest",
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    nearest_mode: str = "round_prefer_floor",
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    antialias: int = 0,
    axes: Sequence[int] | None = None,
    keep_aspect_ratio_policy: str = "stretch",
) -> Array:
    """x interpolated to `sizes`, or to its size times `scales`, along `axes` (default: all).

    Raises:
        ValueError: neither sizes nor scales are given, or a mode is unknown.
    """
    chosen = range(x.ndim) if axes is None else [axis % x.ndim for axis in axes]
    if sizes is not None and sizes.size:
        goals = [int(size) for size in sizes]
        factors = [goal / x.shape[axis] for axis, goal in zip(chosen, goals, strict=True)]
    elif scales is not None and scales.size:
        factors = [float(scale) for scale in scales]
        goals = [int(np.floor(x.shape[axis] * f)) for axis, f in zip(chosen, factors, strict=True)]
    else:
        raise ValueError("neither sizes nor scales")
    y = x
    for axis, goal, factor in zip(chosen, goals, factors, strict=True):
        if goal != x.shape[axis] or factor != 1:
            at = _coordinates(x.shape[axis], goal, factor, coordinate_transformation_mode)  # (goal,)
            weights = _weights(at, x.shape[axis], mode, cubic_coeff_a, nearest_mode)  # (goal, size)
            y = np.moveaxis(np.tensordot(y, weights.astype(x.dtype), (axis, 1)), -1, axis)
    return y


def _coordinates(size: int, goal: int, scale: float, mode: str) -> Array:
    """Where each of `goal` output positions lies among `size` input positions, float64 (goal,)."""
    out = np.arange(goal, dtype=np.float64)  # (goal,)
    match mode:
        case "half_pixel":
            return (out + 0.5) / scale - 0.5
        case "pytorch_half_pixel":
            return (out + 0.5) / scale - 0.5 if goal > 1 else out * 0
        case "align_corners":
            return out * (size - 1) / max(goal - 1, 1)
        case "asymmetric":
            return out / scale
        case _:
            raise ValueError(f"unknown coordinate transformation {mode!r}")


def _weights(at: Array, size: int, mode: str, a: float, nearest_mode: str) -> Array:
    """Weights (goal, size) of input positions; beyond the edge, the edge's value counts."""
    if mode == "nearest":
        positions = _nearest(at, nearest_mode)[:, None]  # (goal, 1)
        values = np.ones_like(positions)  # (goal, 1)
    elif mode == "linear":
        positions = np.floor(at)[:, None] + np.arange(2)  # (goal, 2)
        values = 1 - np.abs(at[:, None] - positions)  # (goal, 2)
    elif mode == "cubic":
        positions = np.floor(at)[:, None] + np.arange(-1, 3)  # (goal, 4)
        values = _cubic(np.abs(at[:, None] - positions), a)  # (goal, 4)
    else:
        raise ValueError(f"unknown mode {mode!r}")
    weights = np.zeros((len(at), size))  # (goal, size)
    rows = np.broadcast_to(np.arange(len(at))[:, None], positions.shape)  # (goal, taps)
    np.add.at(weights, (rows, np.clip(positions, 0, size - 1).astype(np.int64)), values)
    return weights


def _nearest(at: Array, mode: str) -> Array:
    match mode:
        case "floor":
            return np.floor(at)
        case "ceil":
            return np.ceil(at)
        case "round_prefer_floor":
            return np.ceil(at - 0.5)
        case "round_prefer_ceil":
            return np.floor(at + 0.5)
        case _:
            raise ValueError(f"unknown rounding {mode!r}")


def _cubic(distance: Array, a: float) -> Array:
    """Keys' cubic convolution kernel (IEEE Trans. ASSP 29, 1981, equation 15 with its parameter a)."""
    d = distance
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))
