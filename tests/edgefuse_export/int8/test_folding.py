"""Folding and leaving out change no vector, on every family of encoders."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from edgefuse_export.int8 import folding
from edgefuse_export.int8.blocks import find_attentions, find_feed_forwards
from edgefuse_export.int8.moments import session_of
from edgefuse_export.int8.wiring import Wiring, read
from tests.edgefuse_export.int8.conftest import CASES, FoldedOf

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra export)")


def wiring_of(file: Path) -> Wiring:
    return read(onnx.load(file))


def outputs(wiring: Wiring, pixels: list[np.ndarray]) -> np.ndarray:
    session = session_of(wiring)
    return np.stack([session.run(None, {session.get_inputs()[0].name: picture})[0] for picture in pixels])


@pytest.mark.parametrize(("name", "pooler"), CASES)
def test_every_block_is_found(folded: FoldedOf, name: str, pooler: bool) -> None:
    wiring = wiring_of(folded(name, pooler))
    attentions, layers = find_attentions(wiring), find_feed_forwards(wiring)
    assert (len(attentions), len(layers)) == (2, 2)
    assert all(part.norm is not None and not part.norm.shared for part in (*attentions, *layers))
    assert not any(attention.masked for attention in attentions)


@pytest.mark.parametrize(("name", "pooler"), CASES)
def test_folded_scales_change_no_value(folded: FoldedOf, pixels: list[np.ndarray], name: str, pooler: bool) -> None:
    wiring = wiring_of(folded(name, pooler))
    expected = outputs(wiring, pixels)
    before = Counter(node.op_type for node in wiring.nodes)
    folding.fold_scales(wiring)
    after = Counter(node.op_type for node in wiring.nodes)
    assert after["Mul"] + after["Div"] < before["Mul"] + before["Div"]
    assert not any(attention.factors for attention in find_attentions(wiring))
    np.testing.assert_allclose(outputs(wiring, pixels), expected, atol=2e-5)


@pytest.mark.parametrize(("name", "pooler"), CASES)
def test_the_first_token_is_the_same_alone(folded: FoldedOf, pixels: list[np.ndarray], name: str, pooler: bool) -> None:
    wiring = wiring_of(folded(name, pooler))
    expected = outputs(wiring, pixels)
    folding.fold_scales(wiring)
    assert folding.keep_first_token(wiring)
    found = outputs(wiring, pixels)
    if expected.ndim == 4:  # hidden states of all tokens, of which the first is left
        expected = expected[:, :, :1]
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert len(find_attentions(wiring)) == 1  # the last one is no longer over all tokens
