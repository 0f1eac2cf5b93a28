"""Stored blocks -> float32, vectorised. The block layouts are those of ggml-common.h, as in llama.cpp."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.gguf.reader import TENSOR_TYPES, GgufFile

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

CHUNK_VALUES = 1 << 19
"""Values dequantised at a time: what is computed on the way stays in the processor's cache, and small."""


def read_tensor(file: GgufFile, name: str) -> Floats:
    """The whole tensor `name` as float32, in its shape.

    Raises:
        BadInput: its type is not one that is supported.
    """
    tensor = file.tensors[name]
    rows = dequantize(file.raw(name), supported_type(file, name))  # (rows, columns)
    return rows.reshape(tensor.shape)


def read_rows(file: GgufFile, name: str, rows: NDArray[np.int32]) -> Floats:
    """Only `rows` (n,) of matrix `name`, float32 (n, columns): for a few tokens out of a whole vocabulary.

    Raises:
        BadInput: its type is not one that is supported.
    """
    return dequantize(file.raw(name)[rows], supported_type(file, name))  # (n, columns)


def supported_type(file: GgufFile, name: str) -> str:
    """The type of tensor `name`.

    Raises:
        BadInput: it is not one that `dequantize` knows.
    """
    type_name = file.tensors[name].type
    if type_name not in _BLOCKS:
        raise BadInput(
            f"{file.path}: tensor {name!r} has type {type_name}, and numpy runs only {', '.join(_BLOCKS)}; "
            "export the encoder again as Q8_0 or install llama-cpp-python."
        )
    return type_name


def dequantize(raw: Bytes, type_name: str, out: Floats | None = None) -> Floats:
    """Float32 values (rows, columns) of stored rows (rows, bytes of a row); `out` must be C-contiguous."""
    _, block_values, block_bytes = next(entry for entry in TENSOR_TYPES.values() if entry[0] == type_name)
    blocks = raw.reshape(-1, block_bytes)  # (n, block bytes)
    if out is None:
        out = np.empty((raw.shape[0], raw.shape[1] // block_bytes * block_values), np.float32)
    values = out.reshape(-1, block_values)  # (n, block values)
    step = CHUNK_VALUES // block_values
    for start in range(0, len(blocks), step):
        _BLOCKS[type_name](blocks[start : start + step], values[start : start + step])
    return out


def _f32(blocks: Bytes, out: Floats) -> None:
    out[...] = np.ascontiguousarray(blocks).view("<f4")


def _f16(blocks: Bytes, out: Floats) -> None:
    out[...] = np.ascontiguousarray(blocks).view("<f2")


def _bf16(blocks: Bytes, out: Floats) -> None:
    """A float32 whose lower 16 bits are zero."""
    np.left_shift(np.ascontiguousarray(blocks).view("<u2"), 16, out=out.view(np.uint32), dtype=np.uint32)


def _q8_0(blocks: Bytes, out: Floats) -> None:
    """Scale (f16), then 32 int8."""
    np.multiply(blocks[:, 2:].view(np.int8), _f16_scale(blocks[:, :2]), out=out)


def _q4_0(blocks: Bytes, out: Floats) -> None:
    """Scale (f16), then 16 bytes: lower four bits are values 0 to 15, upper ones 16 to 31, minus 8."""
    scale, packed = _f16_scale(blocks[:, :2]), blocks[:, 2:]  # (n, 1), (n, 16)
    np.multiply((packed & 15).view(np.int8) - np.int8(8), scale, out=out[:, :16])
    np.multiply((packed >> 4).view(np.int8) - np.int8(8), scale, out=out[:, 16:])


def _q4_1(blocks: Bytes, out: Floats) -> None:
    """Scale and least value (f16 each), then 16 bytes as in Q4_0."""
    scale, least = (
        _f16_scale(blocks[:, :2]),
        _f16_scale(blocks[:, 2:4]),
    )  # (n, 1) each
    np.multiply(blocks[:, 4:] & 15, scale, out=out[:, :16])
    np.multiply(blocks[:, 4:] >> 4, scale, out=out[:, 16:])
    out += least


def _q5_0(blocks: Bytes, out: Floats) -> None:
    """Scale (f16), fifth bits in 4 bytes, then 16 bytes as in Q4_0; minus 16."""
    values = (_five_bits(blocks[:, 2:6], blocks[:, 6:])).view(np.int8) - np.int8(16)  # (n, 32)
    np.multiply(values, _f16_scale(blocks[:, :2]), out=out)


def _q5_1(blocks: Bytes, out: Floats) -> None:
    """Scale and least value (f16 each), then fifth bits and lower four as in Q5_0."""
    np.multiply(_five_bits(blocks[:, 4:8], blocks[:, 8:]), _f16_scale(blocks[:, :2]), out=out)
    out += _f16_scale(blocks[:, 2:4])


def _five_bits(high: Bytes, packed: Bytes) -> Bytes:
    """Values 0 to 31 (n, 32) of their fifth bits (n, 4), value by value, and their lower four (n, 16)."""
    fifth = np.unpackbits(high, axis=1, bitorder="little")  # (n, 32)
    low = np.concatenate([packed & 15, packed >> 4], axis=1)  # (n, 32)
    values: Bytes = low | fifth << 4
    return values


def _q4_k(blocks: Bytes, out: Floats) -> None:
    """Twelve bytes of scales behind two f16, then 256 values of 4 bits."""
    scale, least = _k_scales(blocks)  # (n, 8) each
    packed = blocks[:, 16:].reshape(-1, 4, 32)  # (n, 4, 32): each byte holds one value of two neighbouring groups
    groups = out.reshape(-1, 4, 2, 32)  # (n, 4, 2, 32)
    np.multiply(packed & 15, scale[:, 0::2, None], out=groups[:, :, 0])
    np.multiply(packed >> 4, scale[:, 1::2, None], out=groups[:, :, 1])
    groups -= least.reshape(-1, 4, 2, 1)


def _q5_k(blocks: Bytes, out: Floats) -> None:
    """As Q4_K, with the fifth bits in 32 bytes between: bit g of byte i belongs to value i of group g."""
    scale, least = _k_scales(blocks)  # (n, 8) each
    fifth = blocks[:, 16:48].reshape(-1, 1, 32) >> np.arange(8, dtype=np.uint8)[:, None] & 1  # (n, 8, 32)
    packed = blocks[:, 48:].reshape(-1, 4, 1, 32)  # (n, 4, 1, 32)
    low = packed >> np.array([[0], [4]], np.uint8) & 15  # (n, 4, 2, 32)
    groups = out.reshape(-1, 8, 32)  # (n, 8, 32)
    np.multiply(low.reshape(-1, 8, 32) | fifth << 4, scale[:, :, None], out=groups)
    groups -= least[:, :, None]


def _k_scales(blocks: Bytes) -> tuple[Floats, Floats]:
    """Scales and least values (n, 8) of eight groups: an f16 for each of the two, times 6 bits of a group's own."""
    super_scale, super_least = _f16_scale(blocks[:, :2]), _f16_scale(blocks[:, 2:4])
    a, b, c = blocks[:, 4:8], blocks[:, 8:12], blocks[:, 12:16]  # (n, 4) each
    scale = np.concatenate([a & 63, (c & 15) | (a >> 2 & 48)], axis=1) * super_scale  # (n, 8)
    least = np.concatenate([b & 63, (c >> 4) | (b >> 2 & 48)], axis=1) * super_least  # (n, 8)
    return scale, least


def _q6_k(blocks: Bytes, out: Floats) -> None:
    """256 values of 6 bits (lower 4 in 128 bytes, upper 2 in 64), 16 int8 scales, f16 scale of these."""
    by_four, by_two = np.array([[0], [4]], np.uint8), np.array([[0], [2], [4], [6]], np.uint8)
    low = blocks[:, :128].reshape(-1, 2, 1, 64) >> by_four & 15  # (n, 2, 2, 64)
    high = blocks[:, 128:192].reshape(-1, 2, 1, 32) >> by_two & 3  # (n, 2, 4, 32)
    values = (low.reshape(-1, 2, 4, 32) | high << 4).astype(np.int8) - np.int8(32)  # (n, 2, 4, 32)
    scale = blocks[:, 192:208].view(np.int8) * _f16_scale(blocks[:, 208:])  # (n, 16)
    np.multiply(values.reshape(-1, 16, 16), scale[:, :, None], out=out.reshape(-1, 16, 16))


def _f16_scale(raw: Bytes) -> Floats:
    return raw.view("<f2").astype(np.float32)  # (n, 1)


_BLOCKS: dict[str, Callable[[Bytes, Floats], None]] = {
    "F32": _f32,
    "F16": _f16,
    "BF16": _bf16,
    "Q8_0": _q8_0,
    "Q4_0": _q4_0,
    "Q4_1": _q4_1,
    "Q5_0": _q5_0,
    "Q5_1": _q5_1,
    "Q4_K": _q4_k,
    "Q5_K": _q5_k,
    "Q6_K": _q6_k,
}
