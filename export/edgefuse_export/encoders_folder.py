"""An encoders folder from beginning to end: both encoders, golden samples, and the proof of what they are worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgefuse.kits.encoders import Encoders, write_encoders
from edgefuse.kits.golden import golden_name
from edgefuse.kits.precisions import choose
from edgefuse.progress import Progress, silent
from edgefuse_export.parity.exported import exported_vectors
from edgefuse_export.parity.gates import Gates
from edgefuse_export.parity.labels import Judge, Pair, compare_labels
from edgefuse_export.parity.report import MAIN, encoder_figures, parity_report, summary, write_report
from edgefuse_export.parity.samples import Samples, distinct
from edgefuse_export.parity.source import Reference, source_vectors
from edgefuse_export.request import made_already, requests_of
from edgefuse_export.resources import resources
from edgefuse_export.room import GGUF_PRECISIONS, Disk, disk_for, most_of, require_room
from edgefuse_export.sources import GGUF_TOOLS, ONNX_TOOLS, TORCH_TOOLS, kind_of, require_export_extra
from edgefuse_runtimes.folders import PartFolder, part_folder
from edgefuse_runtimes.spec import EncoderSpec, Modality

Exporter = Callable[[Path, Reference], Sequence[EncoderSpec]]
"""Writes one encoder's files into a folder, the main one first, and calls the reference while the source is there."""


@dataclass(frozen=True)
class Job:
    """One encoder that is to be made."""

    source: Path
    options: dict[str, Any]
    """Plain JSON: all but the source and the versions of tools that decides the file."""
    precision: str
    """Of the file or files: "int8", "fp32", "both", "q8_0" or "q4_k_m"."""
    export: Exporter


@dataclass(frozen=True)
class Proof:
    """On what an export is compared with its sources, and what is asked of it."""

    samples: Samples
    judge: Judge | None = None
    gates: Gates = field(default_factory=Gates)
    with_pictures: bool = False
    """Whether the page shows the worst samples' pictures."""

    def request(self) -> dict[str, Any]:
        """All that decides the report, in plain JSON."""
        head = None if self.judge is None else self.judge.content()
        told = {"samples": self.samples.content(), "head": head, "with_pictures": self.with_pictures}
        return told | asdict(self.gates)


def export_encoders(
    output: Path,
    jobs: dict[Modality, Job],
    proof: Proof,
    progress: Progress = silent,
    notify: Callable[[str], None] = lambda sentence: None,
) -> tuple[Encoders, dict[str, Any]] | None:
    """Make the new folder `output`; None where it is there already, of the same request.

    After an interruption it goes on with the encoders that were finished, if they were made of the same.

    Args:
        output: the folder to be.
        jobs: for "image" and "text".
        proof: see `make_encoders`.
        progress: shows the steps.
        notify: is told what is worth knowing.

    Raises:
        BadInput: a source or a sample cannot be used, or `output` holds something else.
        DoesNotFit: the disk has no room.
        QualityGate: an encoder is further from its source than `proof.gates` allow.
    """
    require_export_extra()
    disks: dict[str, Disk] = {name: disk_for(job.source, name, job.precision) for name, job in jobs.items()}
    encoders = requests_of({name: (job.source, job.options, _tools(job)) for name, job in jobs.items()}, progress)
    request = encoders | {"proof": proof.request()}
    if made_already(output, request):
        return None
    pieces = {name: encoder | {"samples": request["proof"]["samples"]} for name, encoder in encoders.items()}
    with part_folder(output, pieces) as part:
        for name in part.finished:
            notify(f"The {name} encoder is taken over from a run that was interrupted.")
        missing = [disk for name, disk in disks.items() if name not in part.finished]
        require_room(part.root, most_of(missing), "The export")
        return make_encoders(part, jobs["image"].export, jobs["text"].export, proof, progress, notify, request=request)


def make_encoders(
    part: PartFolder,
    image: Exporter,
    text: Exporter,
    proof: Proof,
    progress: Progress = silent,
    notify: Callable[[str], None] = lambda sentence: None,
    *,
    request: dict[str, Any] | None = None,
) -> tuple[Encoders, dict[str, Any]]:
    """Fill a folder with both encoders, the pieces "image" and "text" of it, and the parity report.

    Args:
        part: of the folder to be.
        image: makes the image encoder.
        text: makes the text encoder.
        proof: on what they are compared with their sources, and what is asked of them.
        progress: shows the steps.
        notify: is told when an engine is replaced by another.
        request: recorded, to be known again.

    Returns:
        The encoders, whose recipes hold the summary of the report, and the report.

    Raises:
        BadInput: a source or a sample cannot be used, or the judging head does not fit.
        QualityGate: an encoder is further from its source than `proof.gates` allow.
    """
    samples, judge = proof.samples, proof.judge
    proof.gates.check_head(judge is not None)
    folder = part.whole
    report: dict[str, Any] = {}

    def vectors(modality: Modality) -> Path:
        return part.root / f"{modality}-source.npy"

    def remember(source: Path, spec: EncoderSpec) -> None:
        if judge is not None:
            judge.check(spec)
        np.save(vectors(spec.modality), source_vectors(source, spec, folder / spec.file, samples, progress))

    def pieces(modality: Modality, export: Exporter) -> list[EncoderSpec]:
        made = part.piece(modality, lambda: [spec.to_json() for spec in export(folder, remember)])
        specs = [EncoderSpec.from_json(each, modality) for each in made]
        if judge is not None:
            judge.check(specs[0])
        return specs

    def prove(encoders: Encoders) -> Encoders:
        figures: dict[str, dict[str, Any]] = {}
        pairs: dict[str, Pair] = {}
        for spec in encoders.specs:
            name = golden_name(spec)
            exported, engine = exported_vectors(encoders, spec, samples, progress, notify)
            pairs[name] = Pair(np.load(vectors(spec.modality)), exported)
            figures[name] = encoder_figures(spec, samples, pairs[name], engine)
            proof.gates.check_error(name, figures[name])
        mains = (encoders.image, encoders.text)
        labels: dict[str, dict[str, Any]] = {}
        for precision in (None, *dict.fromkeys(spec.precision for spec in encoders.alternatives)):
            image, text = choose(mains, encoders.alternatives, precision, f"The folder {folder}")
            if judge is not None:
                which = distinct(samples.notes)[1]  # (n,): equal notes were encoded once
                text_pair = Pair(*(rows[which] for rows in pairs[golden_name(text)]))  # (n, d_t) each
                files = {spec.modality: spec.sha256 for spec in (image, text)}
                found = compare_labels(judge, samples, pairs[golden_name(image)], text_pair, files)
                proof.gates.check_agreement(found)
                labels[precision or MAIN] = found
        report.update(parity_report(figures, labels, proof.gates))
        write_report(folder, report, samples if proof.with_pictures else None)
        image, text, *others = (_with_parity(spec, figures[golden_name(spec)]) for spec in encoders.specs)
        return replace(encoders, image=image, text=text, alternatives=tuple(others))

    (main_image, *images), (main_text, *texts) = pieces("image", image), pieces("text", text)
    encoders = write_encoders(
        folder,
        main_image,
        main_text,
        progress,
        prove,
        alternatives=[*images, *texts],
        request=request,
        threads=resources().threads,
    )
    return encoders, report


def _tools(job: Job) -> list[str]:
    """Distributions that make an encoder."""
    if job.precision in GGUF_PRECISIONS:
        return [*GGUF_TOOLS, "llama-cpp-python"]
    return [*TORCH_TOOLS, "optimum-onnx"] if kind_of(job.source) == "folder" else ONNX_TOOLS


def _with_parity(spec: EncoderSpec, figures: dict[str, Any]) -> EncoderSpec:
    return replace(spec, recipe=spec.recipe | {"parity": summary(figures)})
