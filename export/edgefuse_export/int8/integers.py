"""Linear layers on integers, in the operators of the ONNX standard that every engine fuses and runs fast."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.extras import importable
from edgefuse_export.int8.blocks import MOVES, Attention
from edgefuse_export.int8.moments import Doubles, Moments
from edgefuse_export.int8.wiring import Wiring, add_constant, add_node, replace_value, takers

KEY_MARGIN = 1.1
"""How much larger keys may be than on the calibration samples; what is larger still is cut."""

KEY_LEVELS = 64
"""The largest level of a key: two neighbours are then never too large for any processor (see rounding.PAIR)."""

Levels = tuple[NDArray[np.int8], Doubles]
"""An int8 weight (k, n), and the scale of each column (n,)."""


def use_integers(wiring: Wiring, products: Iterable[tuple[Any, Levels]]) -> None:
    """Replace MatMuls with constant weights by integer ones; each input is rounded to uint8 once when it comes.

    x W becomes ((q - zero) levels) (scale_x scale_w), with q, scale_x and zero as DynamicQuantizeLinear makes of x.
    """
    onnx = importable("onnx", "export")
    rounded: dict[str, list[str]] = {}
    for product, (levels, scale) in products:
        taken = product.input[0]
        if taken not in rounded:
            rounded[taken] = add_node(wiring, "DynamicQuantizeLinear", [taken], outputs=3)
        q, q_scale, q_zero = rounded[taken]
        weight = add_constant(wiring, levels, f"{product.name}.levels")
        columns = add_constant(wiring, scale.astype(np.float32), f"{product.name}.scale")
        (whole,) = add_node(wiring, "MatMulInteger", [q, weight, q_zero])
        (floats,) = add_node(wiring, "Cast", [whole], to=onnx.TensorProto.FLOAT)
        (both,) = add_node(wiring, "Mul", [q_scale, columns])
        (y,) = add_node(wiring, "Mul", [floats, both])
        wiring.nodes.remove(product)
        replace_value(wiring, product.output[0], y)


def use_integer_scores(wiring: Wiring, attention: Attention, keys: Moments) -> bool:
    """Compute the scores of an attention on integers; whether it is of a kind for which that can be done.

    Queries are rounded to uint8 as they come, keys to `KEY_LEVELS` levels of a scale that calibration samples gave.
    """
    onnx = importable("onnx", "export")
    moves = [_moves(wiring, linear.output, attention.scores) for linear in (attention.query, attention.key)]
    if attention.factors or attention.masked or not all(moves):
        return False
    largest = max(float(-keys.low.min()), float(keys.high.max())) * KEY_MARGIN
    limit = [add_constant(wiring, np.asarray(sign * largest, np.float32), "limit") for sign in (-1, 1)]
    key_scale = add_constant(wiring, np.asarray(largest / KEY_LEVELS, np.float32), "scale")
    (clipped,) = add_node(wiring, "Clip", [attention.key.output, *limit])
    (levels,) = add_node(
        wiring, "QuantizeLinear", [clipped, key_scale, add_constant(wiring, np.zeros((), np.int8), "zero")]
    )
    q, q_scale, q_zero = add_node(wiring, "DynamicQuantizeLinear", [attention.query.output], outputs=3)
    moves[0][0].input[0], moves[1][0].input[0] = q, levels
    (whole,) = add_node(wiring, "MatMulInteger", [*attention.scores.input, q_zero])
    (floats,) = add_node(wiring, "Cast", [whole], to=onnx.TensorProto.FLOAT)
    (both,) = add_node(wiring, "Mul", [q_scale, key_scale])
    (scores,) = add_node(wiring, "Mul", [floats, both])
    wiring.nodes.remove(attention.scores)
    replace_value(wiring, attention.scores.output[0], scores)
    return True


def _moves(wiring: Wiring, value: str, end: Any) -> list[Any]:
    """The nodes that move a value on its only way to `end`; none where it goes elsewhere too."""
    moves: list[Any] = []
    after = takers(wiring, value)
    while len(after) == 1 and after[0] is not end and after[0].op_type in MOVES:
        moves.append(after[0])
        after = takers(wiring, after[0].output[0])
    return moves if len(after) == 1 and after[0] is end else []
