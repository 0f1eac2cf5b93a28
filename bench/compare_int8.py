"""Compare int8 forms of one DINOv2 image encoder on photographs, on this machine: python bench/compare_int8.py --help

The photographs are split by group into two halves. Calibration sees the first half, and one linear head is trained on
the float32 vectors of it. All figures are of the second half. Each picture runs through every file before the next one
comes, in an order that changes, so that a busy machine slows all of them alike; ratios are taken per picture.

The int8 of other tools stands beside edgefuse's in `edgefuse bench peers`.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from edgefuse.datasets import open_dataset
from edgefuse.datasets.sample import Sample
from edgefuse.progress import bar
from edgefuse_export import families, graph
from edgefuse_export.calibration import calibration_pictures
from edgefuse_export.int8.convert import make_int8, make_lean
from edgefuse_export.parity.compare import one_minus_cosine, standard_error
from edgefuse_export.preprocessing import read_preprocess
from edgefuse_export.search import measure
from edgefuse_runtimes.errors import EdgefuseError
from edgefuse_runtimes.image import load_image, prepare
from edgefuse_runtimes.processor import processor_name

Floats = NDArray[np.float32]
REFERENCE = "float32, one size"
PLAIN, CALIBRATED = "edgefuse int8", "edgefuse int8, calibrated"


def split(samples: Sequence[Sample], count: int, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Up to `count` samples for each half; no group is in both."""
    groups = sorted({sample.group for sample in samples})
    rng = np.random.default_rng(seed)
    first = set(rng.permutation(groups)[: len(groups) // 2].tolist())
    order = rng.permutation(len(samples))
    halves = [[samples[i] for i in order if (samples[i].group in first) == is_first] for is_first in (True, False)]
    return halves[0][:count], halves[1][:count]


def linear_head(vectors: Floats, labels: Sequence[str]) -> Callable[[Floats], NDArray[Any]]:
    """Logistic regression on standardised vectors (n, d), its strength fixed."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000, class_weight="balanced"))
    model.fit(vectors, labels)
    return lambda rows: np.asarray(model.predict(rows))


def macro_f1(predicted: NDArray[Any], labels: Sequence[str]) -> float:
    """Mean F1 over the classes."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predicted, average="macro"))


@click.command(epilog="Example: python bench/compare_int8.py M/dinov2 --dataset ham10000 --root HAM10000")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--dataset", required=True, help="As `edgefuse extract` takes it.")
@click.option("--root", required=True, type=click.Path(path_type=Path))
@click.option("--count", type=click.IntRange(min=40), default=427, show_default=True, help="Pictures of each half.")
@click.option("--calibration", type=click.IntRange(min=16), default=64, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="A folder for the files that were compared.")
def main(source: Path, dataset: str, root: Path, count: int, calibration: int, seed: int, keep: Path | None) -> None:
    """Time and distance to float32 of int8 forms of the DINOv2 in the folder SOURCE."""
    try:
        with tempfile.TemporaryDirectory() as name:
            work = keep or Path(name)
            work.mkdir(parents=True, exist_ok=True)
            lines = compare(source, open_dataset(dataset, root).samples, work, count, calibration, seed)
    except EdgefuseError as error:
        click.echo(f"compare_int8: {error}", err=True)
        sys.exit(error.exit_code)
    click.echo("\n".join(lines))


def compare(source: Path, samples: Sequence[Sample], work: Path, count: int, calibration: int, seed: int) -> list[str]:
    """The table, as lines of text."""
    preprocess = read_preprocess(source / "preprocessor_config.json")
    first, second = split(samples, count, seed)
    known, unknown = (
        [prepare(load_image(sample.image), preprocess)[None] for sample in bar("reading pictures", half, len(half))]
        for half in (first, second)
    )
    fp32 = work / "fp32.onnx"
    if not fp32.exists():
        families.trace(source, families.find_family(source), preprocess.crop, work / "traced.onnx", bar)
        graph.fold(work / "traced.onnx", fp32, preprocess.crop)
    files = {REFERENCE: fp32, "edgefuse float32": work / "lean.onnx"}
    make_lean(fp32, work / "lean.onnx", known[:2], first_token=True)
    for label, pictures in ((PLAIN, calibration_pictures(None, preprocess)), (CALIBRATED, known[:calibration])):
        files[label] = work / f"{label.replace(', ', '-').replace(' ', '-')}.onnx"
        make_int8(work / "lean.onnx", files[label], pictures, progress=bar, preprocess=preprocess)
    times, vectors = measure(files, unknown, bar)
    trained = {name: measure({name: files[name]}, known, bar)[1][name] for name in (REFERENCE, CALIBRATED)}
    labels, truth = [sample.label for sample in first], [sample.label for sample in second]
    head = linear_head(trained[REFERENCE], labels)
    exact, answers = vectors[REFERENCE].astype(np.float64), head(vectors[REFERENCE])
    centre = exact.mean(axis=0)
    lines = [
        f"{processor_name()}, 1 thread, {len(unknown)} pictures, calibration on {calibration} of other groups",
        f"{'':<28}{'ms':>7}{'x fp32':>8}{'MB':>7}{'1 - cosine':>12}{'+-':>9}{'centred':>10}{'same label':>12}",
    ]
    for name, own in times.items():
        near = vectors[name].astype(np.float64)
        errors = one_minus_cosine(near, exact)  # (n,)
        ratio = statistics.median(mine / other for mine, other in zip(own, times[REFERENCE], strict=True))
        size = f"{files[name].stat().st_size / 1e6:.1f}"
        lines.append(
            f"{name:<28}{1e3 * statistics.median(own):>7.1f}{ratio:>8.3f}{size:>7}{errors.mean():>12.1e}"
            f"{standard_error(errors):>9.0e}{one_minus_cosine(near - centre, exact - centre).mean():>10.1e}"
            f"{(head(vectors[name]) == answers).mean():>12.1%}"
        )
    own_head = linear_head(trained[CALIBRATED], labels)
    lines.append(
        f"macro-F1 of a linear head trained and judged on float32 vectors {macro_f1(answers, truth):.3f}, "
        f"on vectors of {CALIBRATED!r} {macro_f1(own_head(vectors[CALIBRATED]), truth):.3f}"
    )
    return lines


if __name__ == "__main__":
    main()
