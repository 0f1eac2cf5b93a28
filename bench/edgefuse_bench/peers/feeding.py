"""One sample as the inputs that a graph names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.arrays import read_arrays


def feed(names: Sequence[str], x: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Pixels (1, 3, H, W), or ids (1, t) with the mask that hides nothing where the graph asks for one."""
    return {name: np.ones_like(x) if name == "attention_mask" else x for name in names}


def calibration_inputs(path: Path, names: Sequence[str]) -> list[dict[str, NDArray[Any]]]:
    """The samples of an `Order.calibration`, each as the graph's inputs."""
    arrays = read_arrays(path, "run the comparison again").values()
    return [feed(names, x[None].astype(np.int64 if x.ndim == 1 else np.float32)) for x in arrays]
