"""An encoders folder from beginning to end: both encoders, golden samples, and the proof of what they are worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.encoders import Encoders, write_encoders
from edgefuse.progress import Progress, silent
from edgefuse_export.parity.exported import exported_vectors
from edgefuse_export.parity.gates import Gates
from edgefuse_export.parity.labels import Judge, Pair, compare_labels
from edgefuse_export.parity.report import encoder_figures, parity_report, summary, write_report
from edgefuse_export.parity.samples import Samples, distinct
from edgefuse_export.parity.source import Reference, source_vectors
from edgefuse_runtimes.spec import EncoderSpec, Modality

Floats = NDArray[np.float32]

Exporter = Callable[[Reference], EncoderSpec]
"""Writes one encoder's file into the folder and calls the reference while the source is still there."""


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
        for spec in (encoders.image, encoders.text):
            exported, engine = exported_vectors(encoders, spec, samples, progress, notify)
            pairs[spec.modality] = Pair(sources[spec.modality], exported)
            figures[spec.modality] = encoder_figures(spec, samples, pairs[spec.modality], engine)
            proof.gates.check_error(spec.modality, figures[spec.modality])
        labels = None
        if judge is not None:
            which = distinct(samples.notes)[1]  # (n,): equal notes were encoded once
            text_pair = Pair(pairs["text"].source[which], pairs["text"].exported[which])  # (n, d_t) each
            files = {spec.modality: spec.sha256 for spec in (encoders.image, encoders.text)}
            labels = compare_labels(judge, samples, pairs["image"], text_pair, files)
            proof.gates.check_agreement(labels)
        report.update(parity_report(figures, labels, proof.gates))
        write_report(folder, report, samples if proof.with_pictures else None)
        return replace(
            encoders,
            image=_with_parity(encoders.image, figures["image"]),
            text=_with_parity(encoders.text, figures["text"]),
        )

    encoders = write_encoders(folder, image(remember), text(remember), progress, prove)
    return encoders, report


def _with_parity(spec: EncoderSpec, figures: dict[str, Any]) -> EncoderSpec:
    return replace(spec, recipe=spec.recipe | {"parity": summary(figures)})
