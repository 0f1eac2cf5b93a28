"""Operators that sum over axes: matrix products, convolutions, reductions, softmax and the norms."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgefuse_runtimes.onnx.tensor import Array


def matmul(a: Array, b: Array) -> Array:
    """Matrix product (..., m, k) x (..., k, n) -> (..., m, n)."""
    return np.asarray(np.matmul(a, b))


def gemm(
    a: Array,
    b: Array,
    c: Array | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Array:
    """alpha a b + beta c, with a (m, k) and b (k, n) or their transposes."""
    product = np.matmul(a.T if transA else a, b.T if transB else b)  # (m, n)
    if alpha != 1.0:
        product *= product.dtype.type(alpha)
    if c is not None:
        product += c if beta == 1.0 else c * c.dtype.type(beta)
    return np.asarray(product)


def convolution(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    strides: Sequence[int] = (1, 1),
    pads: Sequence[int] = (0, 0, 0, 0),
    dilations: Sequence[int] = (1, 1),
    kernel_shape: Sequence[int] | None = None,
    group: int = 1,
    auto_pad: str = "NOTSET",
) -> Array:
    """2-D convolution of x (b, c, h, w) with weight (o, c, kh, kw): one matrix product over all patches."""
    top, left, bottom, right = pads
    if any(pads):
        x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    kh, kw = weight.shape[2:]
    reach = ((kh - 1) * dilations[0] + 1, (kw - 1) * dilations[1] + 1)
    windows = np.lib.stride_tricks.sliding_window_view(x, reach, (2, 3))  # (b, c, h', w', rh, rw)
    patches = windows[:, :, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]
    batch, channels, height, width = patches.shape[:4]  # of (b, c, oh, ow, kh, kw)
    columns = patches.transpose(0, 1, 4, 5, 2, 3).reshape(batch, channels * kh * kw, height * width)
    product = np.matmul(weight.reshape(len(weight), -1), columns)  # (b, o, oh * ow)
    if bias is not None:
        product += bias[:, None]
    return np.asarray(product.reshape(batch, len(weight), height, width))  # (b, o, oh, ow)


def transposed_convolution(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    strides: Sequence[int] = (1, 1),
    pads: Sequence[int] = (0, 0, 0, 0),
    dilations: Sequence[int] = (1, 1),
    kernel_shape: Sequence[int] | None = None,
    group: int = 1,
    auto_pad: str = "NOTSET",
    output_padding: Sequence[int] = (0, 0),
) -> Array:
    """2-D transposed convolution of x (b, c, h, w) with weight (c, o, kh, kw).

    It is the convolution of x, spread out by the strides, with the weight turned by half a turn.
    """
    (kh, kw), (batch, channels, height, width) = weight.shape[2:], x.shape
    spread = np.zeros(
        (batch, channels, (height - 1) * strides[0] + 1, (width - 1) * strides[1] + 1), x.dtype
    )  # (b, c, (h-1) s + 1, (w-1) s + 1)
    spread[:, :, :: strides[0], :: strides[1]] = x
    around = ((kh - 1) * dilations[0], (kw - 1) * dilations[1])
    edges = (
        around[0] - pads[0],
        around[1] - pads[1],
        around[0] - pads[2] + output_padding[0],
        around[1] - pads[3] + output_padding[1],
    )
    turned = weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)  # (o, c, kh, kw)
    return convolution(spread, turned, bias, pads=edges, dilations=dilations)  # (b, o, oh, ow)


def reduction(function: Callable[..., Array]) -> Callable[..., Array]:
    """The Reduce operator of a numpy reduction; axes come as an input or, in older files, as an attribute."""

    def reduce(
        x: Array,
        axes_input: Array | None = None,
        *,
        axes: Sequence[int] | None = None,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
    ) -> Array:
        chosen = tuple(axes or ()) if axes_input is None else tuple(axes_input.tolist())
        if not chosen and noop_with_empty_axes:
            return x
        return np.asarray(function(x, axis=chosen or None, keepdims=bool(keepdims)), x.dtype)

    return reduce


def l2_norm(x: Array, axis: tuple[int, ...] | None, keepdims: bool) -> Array:
    """Root of the sum of squares."""
    return np.asarray(np.sqrt(np.sum(np.square(x), axis=axis, keepdims=keepdims)))


def softmax(x: Array, *, axis: int = -1) -> Array:
    """exp(x) divided by its sum along an axis."""
    y = x - x.max(axis, keepdims=True)
    np.exp(y, out=y)
    y /= y.sum(axis, keepdims=True)
    return np.asarray(y)


def layer_normalization(
    x: Array,
    scale: Array,
    bias: Array | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Array:
    """Mean 0 and variance 1 over the axes from `axis` on, then scale and bias."""
    axes = tuple(range(axis % x.ndim, x.ndim))
    y = x - x.mean(axes, keepdims=True)
    variance = np.square(y).mean(axes, keepdims=True)
    y *= 1 / np.sqrt(variance + x.dtype.type(epsilon))
    y *= scale
    if bias is not None:
        y += bias
    return np.asarray(y)


def batch_normalization(
    x: Array,
    scale: Array,
    bias: Array,
    mean: Array,
    variance: Array,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
) -> Array:
    """Scaled and shifted per channel (axis 1), by the stored mean and variance (c,)."""
    factor = scale / np.sqrt(variance + x.dtype.type(epsilon))  # (c,)
    per_channel = (-1,) + (1,) * (x.ndim - 2)
    return np.asarray(x * factor.reshape(per_channel) + (bias - mean * factor).reshape(per_channel))
