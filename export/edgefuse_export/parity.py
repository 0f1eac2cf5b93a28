"""How far an exported file is from its full-precision form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.datasets.drawn import draw
from edgefuse.progress import Progress, silent
from edgefuse_export.sources import importable
from edgefuse_runtimes.image import prepare
from edgefuse_runtimes.pooling import pool
from edgefuse_runtimes.spec import Pooling, Preprocess

PICTURES = 16


def on_drawn_pictures(
    fp32: Path, int8: Path, pooling: Pooling, preprocess: Preprocess, progress: Progress = silent
) -> dict[str, Any]:
    """1 - cosine of the int8 file's vectors to those of its fp32 form, on drawn pictures; plain JSON."""
    sessions = [_session(fp32), _session(int8)]
    distances = []
    for seed in progress("comparing int8 with fp32", range(PICTURES), PICTURES):
        pixels = prepare(draw(seed).image, preprocess)[None]  # (1, 3, crop, crop)
        exact, rounded = (_vector(session, pixels, pooling) for session in sessions)  # (d,) each
        distances.append(one_minus_cosine(exact, rounded))
    return {
        "measure": "1 - cosine between the int8 file and its fp32 form, onnxruntime",
        "mean": float(np.mean(distances)),
        "worst": float(np.max(distances)),
        "samples": PICTURES,
        "on": "the drawn example",
    }


def one_minus_cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """1 - a.b / (|a||b|) of two vectors (d,), in double precision; 1 where one of them is zero."""
    first, second = a.astype(np.float64), b.astype(np.float64)
    length = np.linalg.norm(first) * np.linalg.norm(second)
    return float(1 - first @ second / length) if length else 1.0


def _session(file: Path) -> Any:
    ort = importable("onnxruntime", "export")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def _vector(session: Any, pixels: NDArray[np.float32], pooling: Pooling) -> NDArray[np.float32]:
    (output,) = session.run(None, {session.get_inputs()[0].name: pixels})  # (1, t, d) or (1, d)
    return pool(output[0], pooling)
