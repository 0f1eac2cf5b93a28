"""An encoders folder from beginning to end: both encoders, golden samples, and the proof of what they are worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.encoders import Encoders, write_encoders
from edgefuse.golden import golden_name
from edgefuse.precisions import choose
from edgefuse.progress import Progress, silent
from edgefuse_export.parity.exported import exported_vectors
from edgefuse_export.parity.gates import Gates
from edgefuse_export.parity.labels import Judge, Pair, compare_labels
from edgefuse_export.parity.report import MAIN, encoder_figures, parity_report, summary, write_report
from edgefuse_export.parity.samples import Samples, distinct
from edgefuse_export.parity.source import Reference, source_vectors
from edgefuse_runtimes.spec import EncoderSpec, Modality

Floats = NDArray[np.float32]

Exporter = Callable[[Reference], Sequence[EncoderSpec]]
"""Writes one encoder's files into the folder, the main one first, and calls the reference while the source is there."""


@dataclass(frozen=True)
class Proof:
    """On what an export is compared with its sources, and what is asked of it."""

    samples: Samples
    judge: Judge | None = None
    gates: Gates = field(default_factory=Gates)
    with_pictures: bool = False
    """Whether the page shows the worst samples' pictures."""


def make_encoders(
    folder: Path,
    image: Exporter,
    text: Exporter,
    proof: Proof,
    progress: Progress = silent,
    notify: Callable[[str], None] = lambda sentence: None,
) -> tuple[Encoders, dict[str, Any]]:
    """Fill `folder` with both encoders and the parity report.

    Returns:
        The encoders, whose recipes hold the summary of the report, and the report.

    Raises:
        BadInput: a source or a sample cannot be used, or the judging head does not fit.
        QualityGate: an encoder is further from its source than `proof.gates` allow.
    """
    samples, judge = proof.samples, proof.judge
    proof.gates.check_head(judge is not None)
    sources: dict[Modality, Floats] = {}
    report: dict[str, Any] = {}

    def remember(source: Path, spec: EncoderSpec) -> None:
        if judge is not None:
            judge.check(spec)
        sources[spec.modality] = source_vectors(source, spec, folder / spec.file, samples, progress)

    def prove(encoders: Encoders) -> Encoders:
        figures: dict[str, dict[str, Any]] = {}
        pairs: dict[str, Pair] = {}
        for spec in encoders.specs:
            name = golden_name(spec)
            exported, engine = exported_vectors(encoders, spec, samples, progress, notify)
            pairs[name] = Pair(sources[spec.modality], exported)
            figures[name] = encoder_figures(spec, samples, pairs[name], engine)
            proof.gates.check_error(name, figures[name])
        mains = (encoders.image, encoders.text)
        labels: dict[str, dict[str, Any]] = {}
        for precision in (None, *dict.fromkeys(spec.precision for spec in encoders.alternatives)):
            image, text = choose(mains, encoders.alternatives, precision, f"The folder {folder}")
            if judge is not None:
                which = distinct(samples.notes)[1]  # (n,): equal notes were encoded once
                text_pair = Pair(*(vectors[which] for vectors in pairs[golden_name(text)]))  # (n, d_t) each
                files = {spec.modality: spec.sha256 for spec in (image, text)}
                found = compare_labels(judge, samples, pairs[golden_name(image)], text_pair, files)
                proof.gates.check_agreement(found)
                labels[precision or MAIN] = found
        report.update(parity_report(figures, labels, proof.gates))
        write_report(folder, report, samples if proof.with_pictures else None)
        image, text, *others = (_with_parity(spec, figures[golden_name(spec)]) for spec in encoders.specs)
        return replace(encoders, image=image, text=text, alternatives=tuple(others))

    (main_image, *images), (main_text, *texts) = image(remember), text(remember)
    encoders = write_encoders(folder, main_image, main_text, progress, prove, alternatives=[*images, *texts])
    return encoders, report


def _with_parity(spec: EncoderSpec, figures: dict[str, Any]) -> EncoderSpec:
    return replace(spec, recipe=spec.recipe | {"parity": summary(figures)})
