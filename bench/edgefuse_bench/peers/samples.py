"""The pictures and notes that all peers are given, and others for those that calibrate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgefuse.datasets import open_dataset
from edgefuse.datasets.drawn import draw
from edgefuse.kits.encoders import Encoders
from edgefuse.progress import Progress, silent
from edgefuse_bench.peers.peer import Sample, as_bytes
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import new_file
from edgefuse_runtimes.image import Picture, read_picture
from edgefuse_runtimes.spec import Modality
from edgefuse_runtimes.tokenizers import tokenize, tokenizer_of

FIRST_SEED = 3_000_000
"""Of drawn samples, far from those of training examples and golden samples."""

CALIBRATION = 64
"""Samples for peers that calibrate: as many as edgefuse takes."""


@dataclass(frozen=True)
class Case:
    """A picture with its note."""

    picture: Picture
    note: str


def choose(count: int, dataset: str | None = None, root: Path | None = None) -> tuple[list[Case], list[Case]]:
    """Up to `count` cases to measure, and up to `CALIBRATION` of other groups to calibrate on.

    Args:
        count: how many.
        dataset: as `edgefuse extract` takes it; drawn samples where it is not given.
        root: the data set's folder.

    Raises:
        BadInput: the data set cannot be read, or is too small.
    """
    if dataset is None:
        drawn = [draw(FIRST_SEED + index) for index in range(count + CALIBRATION)]
        cases = [Case(each.image, each.note) for each in drawn]
        return cases[:count], cases[count:]
    samples = open_dataset(dataset, root, skip_missing=True, labelled=False).samples
    order = np.random.default_rng(0).permutation(len(samples)).tolist()
    measured = order[:count]
    known = {samples[row].group for row in measured}
    others = [row for row in order[count:] if samples[row].group not in known][:CALIBRATION]
    if len(measured) < 2 or not others:
        raise BadInput(f"{dataset} has too few groups for {count} samples and others to calibrate on; lower --count.")
    first, second = ([Case(samples[row].image, samples[row].text) for row in rows] for rows in (measured, others))
    return first, second


def ready(encoders: Encoders, modality: Modality, cases: Sequence[Case], progress: Progress = silent) -> list[Sample]:
    """The cases' pictures or notes as the main encoder of `modality` is fed.

    Raises:
        BadInput: a picture cannot be read.
    """
    shown = progress(f"reading for the {modality} encoder", cases, len(cases))
    if modality == "image":
        preprocess = encoders.image.preprocess
        assert preprocess is not None
        return [Sample(read_picture(case.picture, preprocess)) for case in shown]
    tokenization = encoders.text.tokenization
    assert tokenization is not None
    tokenizer = tokenizer_of(encoders.text, encoders.file)
    samples = []
    for case in shown:
        note = " ".join(case.note.split("\n")) if tokenization.newline_to_space else case.note
        samples.append(Sample(tokenize(tokenizer, tokenization, case.note).ids, as_bytes(note.strip())))
    return samples


def write_calibration(path: Path, samples: Sequence[Sample]) -> None:
    """The samples as they are fed, for peers that calibrate in a process of their own."""
    with new_file(path) as file:
        np.savez(file, *(sample.values for sample in samples))
