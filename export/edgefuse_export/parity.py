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
from edgefuse_runtimes.pooling import l2_normalize, pool
from edgefuse_runtimes.spec import Pooling, Preprocess

PICTURES = 16


def on_drawn_pictures(
    reference: Path,
    file: Path,
    preprocess: Preprocess,
    pooling: Pooling,
    *,
    normalize: bool,
    progress: Progress = silent,
) -> dict[str, Any]:
    """1 - cosine of a file's vectors to those of the file it was made of, on drawn pictures; plain JSON.

    "centred" is the same after the mean of the reference's vectors is subtracted from both: random weights give
    nearly equal vectors for any picture, which hides errors from the plain measure.
    """
    sessions = [_session(reference), _session(file)]
    name = sessions[1].get_outputs()[0].name  # the reference may give others beside it
    pairs = np.array(
        [
            [_vector(session, name, prepare(draw(seed).image, preprocess)[None], pooling) for session in sessions]
            for seed in progress("comparing with the source", range(PICTURES), PICTURES)
        ]
    )  # (n, 2, d)
    pairs = l2_normalize(pairs) if normalize else pairs  # (n, 2, d)
    plain = [one_minus_cosine(exact, near) for exact, near in pairs]
    centred = [one_minus_cosine(exact, near) for exact, near in pairs - pairs[:, 0].mean(axis=0)]
    return {
        "mean": float(np.mean(plain)),
        "worst": float(np.max(plain)),
        "centred": {"mean": float(np.mean(centred)), "worst": float(np.max(centred))},
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


def _vector(session: Any, name: str, pixels: NDArray[np.float32], pooling: Pooling) -> NDArray[np.float32]:
    (output,) = session.run([name], {session.get_inputs()[0].name: pixels})  # (1, t, d) or (1, d)
    return pool(output[0], pooling)
