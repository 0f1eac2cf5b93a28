"""Folded float32 graphs of tiny encoders with random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgefuse_export import families, graph

SIDE = 56
CASES = [
    ("dinov2", False),
    ("dinov2_with_registers", False),
    ("vit", False),
    ("vit", True),
    ("clip", False),
]
"""Type of the model, and whether its pooler is read."""

FoldedOf = Callable[[str, bool], Path]


@pytest.fixture(scope="session")
def folded(image_folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> FoldedOf:
    """The folded graph of a model, made when first asked for: two layers, 48 wide, pictures of 56 pixels."""
    made: dict[tuple[str, bool], Path] = {}

    def make(name: str, pooler: bool) -> Path:
        if (name, pooler) not in made:
            work = tmp_path_factory.mktemp("folded")
            family = families.find_family(image_folder(name), pooler=pooler)
            families.trace(image_folder(name), family, SIDE, work / "traced.onnx")
            graph.fold(work / "traced.onnx", work / "folded.onnx", SIDE)
            made[name, pooler] = work / "folded.onnx"
        return made[name, pooler]

    return make


@pytest.fixture(scope="session")
def pixels() -> list[np.ndarray]:
    """Twelve smooth pictures (1, 3, 56, 56)."""
    rng = np.random.default_rng(5)
    coarse = rng.normal(0, 1, (12, 1, 3, 14, 14))
    return list(np.kron(coarse, np.ones((1, 1, 1, 4, 4))).astype(np.float32))
