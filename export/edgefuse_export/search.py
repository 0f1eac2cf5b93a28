"""The way to round an image encoder, chosen by measurement: candidates are made, timed side by side and compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.extras import importable
from edgefuse.progress import Progress, silent
from edgefuse_export import model_file
from edgefuse_export.int8.convert import make_int8
from edgefuse_export.int8.recipe import DEFAULT, Recipe
from edgefuse_export.parity.compare import neighbour_agreement, one_minus_cosine, standard_error
from edgefuse_runtimes.errors import BadInput, QualityGate
from edgefuse_runtimes.onnx.with_onnxruntime import session_options
from edgefuse_runtimes.spec import Preprocess

CANDIDATES = {
    "nearest": Recipe(strength=0, compensated=False, scores=False, pixels=False),
    "balanced": Recipe(compensated=False, scores=False),
    "compensated": Recipe(strength=0, scores=False),
    "both": Recipe(scores=False),
    "both, scores": DEFAULT,
    "stronger, scores": Recipe(strength=0.9),
}
"""Ways to round, by name; "both": balanced and compensated."""

EQUAL = 1.02
"""Times that differ by less than this factor are equal: of those, the nearest to float32 is better."""

LEAST = 32
"""The fewest pictures to search with; half of them calibrate, half judge."""


@dataclass(frozen=True)
class Search:
    """That a search is wanted, and what of it."""

    max_error: float
    """The most that the mean of 1 - cosine may be."""
    show: Callable[[list[str]], None] = lambda lines: None
    """Told the table of what was measured."""


@dataclass(frozen=True)
class Tried:
    """What was measured of one candidate."""

    name: str
    recipe: Recipe
    milliseconds: float
    """Median for one picture, one thread."""
    ratio: float
    """To the float32 graph, median over pictures of the same run."""
    bytes: int
    error: float
    """Mean 1 - cosine to the float32 graph."""
    noise: float
    """Standard error of it."""
    centred: float
    """Mean 1 - cosine after the mean of the float32 vectors was subtracted."""
    neighbours: float
    """Share of pictures whose nearest other picture stays the same."""


def try_candidates(
    lean: Path,
    work: Path,
    pictures: Sequence[NDArray[np.float32]],
    preprocess: Preprocess,
    progress: Progress = silent,
) -> list[Tried]:
    """Make and measure every candidate.

    Args:
        lean: a lean float32 graph (`int8.convert.make_lean`).
        work: a folder for the candidates' files.
        pictures: inputs (1, 3, crop, crop); every other one calibrates, the rest judge.
        preprocess: how pixels became inputs.
        progress: shows the steps.

    Raises:
        BadInput: there are fewer than `LEAST` pictures.
    """
    if len(pictures) < LEAST:
        raise BadInput(f"A search needs {LEAST} calibration pictures, and {len(pictures)} were given; give more.")
    calibrating, judging = list(pictures[0::2]), list(pictures[1::2])
    files = {"float32": lean}
    for name, recipe in CANDIDATES.items():
        files[name] = work / f"candidate-{len(files)}.onnx"
        make_int8(lean, files[name], calibrating, recipe, progress, preprocess=preprocess)
    times, vectors = measure(files, judging, progress)
    return [
        _tried(name, recipe, files[name], times[name], times["float32"], vectors[name], vectors["float32"])
        for name, recipe in CANDIDATES.items()
    ]


def measure(
    files: dict[str, Path],
    pictures: Sequence[NDArray[np.float32]],
    progress: Progress = silent,
) -> tuple[dict[str, list[float]], dict[str, NDArray[np.float32]]]:
    """Seconds per picture and first tokens (n, d) of each file, one thread: each picture runs through all in turn."""
    runtime = importable("onnxruntime", "export")
    options = session_options(runtime, 1, "normal")
    sessions = {name: runtime.InferenceSession(str(file), options) for name, file in files.items()}
    feeds = {name: _input_name(session) for name, session in sessions.items()}
    times: dict[str, list[float]] = {name: [] for name in sessions}
    rows: dict[str, list[NDArray[np.float32]]] = {name: [] for name in sessions}
    names = list(sessions)
    for name in names:
        sessions[name].run(None, {feeds[name]: pictures[0]})  # the first run sets up what later ones use
    for turn, picture in enumerate(progress("measuring", pictures, len(pictures))):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            started = time.perf_counter()
            (output,) = sessions[name].run(None, {feeds[name]: picture})
            times[name].append(time.perf_counter() - started)
            rows[name].append(output.reshape(-1, output.shape[-1])[0])
    return times, {name: np.stack(vectors) for name, vectors in rows.items()}


def best(tried: Sequence[Tried], max_error: float) -> Tried:
    """The fastest candidate whose error is at most `max_error`; of those equally fast, the nearest to float32.

    Raises:
        QualityGate: there is none.
    """
    good = [one for one in tried if one.error <= max_error]
    if not good:
        nearest = min(tried, key=lambda one: one.error)
        raise QualityGate(
            f"No rounding brings the image encoder to a mean 1 - cosine of {max_error:.1e}: the nearest, "
            f"{nearest.name!r}, has {nearest.error:.1e}; allow more or export it with --precision fp32."
        )
    fastest = min(one.ratio for one in good)
    return min((one for one in good if one.ratio <= fastest * EQUAL), key=lambda one: one.error)


def table(tried: Sequence[Tried]) -> list[str]:
    """The candidates as lines of text."""
    head = (
        f"{'rounding':<18}{'ms':>7}{'x fp32':>8}{'MB':>7}{'1 - cosine':>12}{'+-':>9}{'centred':>10}{'neighbours':>12}"
    )
    return [head] + [
        f"{one.name:<18}{one.milliseconds:>7.1f}{one.ratio:>8.3f}{one.bytes / 1e6:>7.1f}{one.error:>12.1e}"
        f"{one.noise:>9.0e}{one.centred:>10.1e}{one.neighbours:>12.1%}"
        for one in tried
    ]


def _tried(
    name: str,
    recipe: Recipe,
    file: Path,
    times: Sequence[float],
    exact_times: Sequence[float],
    vectors: NDArray[Any],
    exact: NDArray[Any],
) -> Tried:
    exact, near = exact.astype(np.float64), vectors.astype(np.float64)
    errors = one_minus_cosine(near, exact)  # (n,)
    centre = exact.mean(axis=0)
    neighbours = neighbour_agreement(near - centre, exact - centre, 1)
    assert neighbours is not None, "there are enough pictures"
    return Tried(
        name,
        recipe,
        1e3 * statistics.median(times),
        statistics.median(own / other for own, other in zip(times, exact_times, strict=True)),
        model_file.total_bytes(file),
        float(errors.mean()),
        standard_error(errors),
        float(one_minus_cosine(near - centre, exact - centre).mean()),
        neighbours["mean"],
    )


def _input_name(session: Any) -> str:
    return str(session.get_inputs()[0].name) if hasattr(session, "get_inputs") else ""
