"""Float32 ONNX files made lean, and int8 ones made of them: what the exporter calls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.extras import importable
from edgefuse.progress import Progress, silent
from edgefuse_export import model_file
from edgefuse_export.graph import load_graph
from edgefuse_export.int8 import folding, wiring
from edgefuse_export.int8.moments import session_of
from edgefuse_export.int8.recipe import DEFAULT, Recipe, quantise
from edgefuse_runtimes.spec import Preprocess

CLOSE = 1e-4
"""How far, in parts of its length, a vector may be moved by steps that change nothing but the order of sums."""


def make_lean(source: Path, target: Path, samples: Sequence[NDArray[Any]], *, first_token: bool) -> list[str]:
    """Write a float32 graph that gives the same vectors with less work; says in words what was left out.

    Args:
        source: a folded graph (`graph.fold`).
        target: gets the lean one; its output is (1, 1, d) instead of (1, t, d) where only the first token is left.
        samples: a few inputs, each a batch of one, on which the result is compared with the source.
        first_token: whether the first token of the output is all that will be read of it.
    """
    whole = wiring.read(load_graph(source))
    expected = _first_rows(whole, samples)
    lean, steps = wiring.copied(whole), []
    folding.fold_scales(lean)
    if first_token and folding.keep_first_token(lean) and _agree(lean, samples, expected):
        steps.append("last block computed for its first token only")
    else:
        lean = wiring.copied(whole)
        folding.fold_scales(lean)
    if _agree(lean, samples, expected):
        steps.insert(0, "factors of attentions and layer scales folded into weights")
    else:
        lean, steps = whole, []
    _save(lean, target, samples[0])
    return steps


def make_int8(
    source: Path,
    target: Path,
    samples: Sequence[NDArray[Any]],
    recipe: Recipe = DEFAULT,
    progress: Progress = silent,
    *,
    preprocess: Preprocess | None = None,
) -> None:
    """Write a lean float32 graph as an int8 one.

    Args:
        source: what `make_lean` wrote.
        target: gets the int8 graph.
        samples: inputs, each a batch of one, that stand for what the encoder will meet.
        recipe: how to round.
        progress: shows the steps.
        preprocess: how pixels became an image encoder's input.
    """
    rounded = wiring.read(load_graph(source))
    quantise(rounded, samples, recipe, progress, preprocess=preprocess)
    _save(rounded, target, samples[0])


def _save(graph: wiring.Wiring, target: Path, sample: NDArray[Any]) -> None:
    onnx = importable("onnx", "export")
    session = session_of(graph)
    (output,) = session.run(None, {session.get_inputs()[0].name: sample})
    free = [dim.dim_param for dim in graph.input.type.tensor_type.shape.dim]
    shape = [None if any(free) and place == 1 and output.ndim == 3 else size for place, size in enumerate(output.shape)]
    graph.output = onnx.helper.make_tensor_value_info(graph.output.name, onnx.TensorProto.FLOAT, shape)
    model_file.save(wiring.write(graph), target)


def _first_rows(graph: wiring.Wiring, samples: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """The first token (n, d) of the output for each sample, or the output itself where it is a vector."""
    session = session_of(graph)
    name = session.get_inputs()[0].name
    outputs = [session.run(None, {name: sample})[0] for sample in samples]
    return np.stack([output.reshape(-1, output.shape[-1])[0] for output in outputs])


def _agree(graph: wiring.Wiring, samples: Sequence[NDArray[Any]], expected: NDArray[np.float32]) -> bool:
    found = _first_rows(graph, samples)  # (n, d)
    apart = np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)  # (n,)
    return bool((apart <= CLOSE).all())
