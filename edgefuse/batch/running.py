"""Many samples with one classifier: pictures are decoded ahead, and a bad sample does not stop the others."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edgefuse.ahead import ahead
from edgefuse.answering.classifier import Classifier
from edgefuse.answering.inputs import Inputs
from edgefuse.answering.note import read_note
from edgefuse.answering.prediction import Prediction
from edgefuse.batch.answers_file import AnswersFile
from edgefuse.batch.samples import BatchSample
from edgefuse.progress import Progress, silent
from edgefuse.results.inputs import Given
from edgefuse.results.storing import Storing
from edgefuse_runtimes.errors import BadInput, DoesNotFit
from edgefuse_runtimes.machine import usable_cores
from edgefuse_runtimes.worker import SAMPLES_EACH

DECODED_AHEAD = 8
"""Samples that may wait ready (0.6 MB each at 224 x 224) while another is encoded."""


@dataclass(frozen=True)
class Outcome:
    """How a batch went."""

    answered: int
    """In this run."""
    referred: int
    """Of those: answers that are "ask a clinician"."""
    before: int
    """Samples that had their answer already."""
    seconds: float


@dataclass(frozen=True)
class _Ready:
    """A sample that was read."""

    sample: BatchSample
    inputs: Inputs
    remarks: list[str]
    """About reading its note."""
    given: Given
    """What the results log will know of it."""


def classify_batch(
    classifier: Classifier,
    samples: Sequence[BatchSample],
    answers: AnswersFile,
    failed: dict[str, str],
    storing: Storing,
    *,
    progress: Progress = silent,
) -> Outcome:
    """Answer for every sample that has no answer yet, in order, and append each answer while the next is found.

    Each is stored before it is appended, so that a line with a number is in the results log, whatever happens. Why a
    sample has no answer is put into `failed`, by id, at once too: it is there even if the batch ends early.

    Raises:
        BadInput: an encoder's file is missing or damaged; whatever is wrong with a sample is in `failed`.
        DoesNotFit: there is too little memory for the encoders.
        EngineUnavailable: an engine that was asked for by its name died, hung or failed.
        OSError: an answer cannot be written.
    """
    started, referred = time.monotonic(), 0
    todo = [sample for sample in samples if sample.id not in answers.answered]

    def read(sample: BatchSample) -> tuple[str, _Ready | str]:
        return sample.id, _read(classifier, sample, storing)

    def write(read: _Ready, prediction: Prediction) -> None:
        prediction = dataclasses.replace(prediction, notes=read.remarks + prediction.notes)
        answers.append(read.sample.id, storing.store(prediction, read.given, read.sample.case).to_json())

    def write_all(group: Sequence[_Ready], predictions: Sequence[Prediction]) -> None:
        for read, prediction in zip(group, predictions, strict=True):
            write(read, prediction)

    # Two at a time where there are cores: decoding a photograph of 12 megapixels takes longer than encoding it.
    depth = max(DECODED_AHEAD, SAMPLES_EACH * classifier.threads["image"])
    ready = ahead(read, todo, workers=min(2, usable_cores()), depth=depth)
    with ThreadPoolExecutor(1) as writer:  # the encoder need not wait until an answer is on the disk
        writing: Future[None] | None = None
        for group in _groups(progress("classifying", ready, len(todo)), classifier, failed):
            predictions = classifier.answer_together([read.inputs for read in group])
            referred += sum(prediction.referred for prediction in predictions)
            if writing is not None:
                writing.result()
            writing = writer.submit(write_all, group, predictions)
        if writing is not None:
            writing.result()
    return Outcome(len(todo) - len(failed), referred, len(samples) - len(todo), time.monotonic() - started)


def _groups(
    found: Iterable[tuple[str, _Ready | str]], classifier: Classifier, failed: dict[str, str]
) -> Iterator[list[_Ready]]:
    """Samples that could be read, as many at a time as suit the classifier; why one could not is put into `failed`."""
    group: list[_Ready] = []
    for name, read in found:
        if isinstance(read, str):
            failed[name] = read
            continue
        group.append(read)
        if len(group) >= classifier.group:
            yield group
            group = []
    if group:
        yield group


def _read(classifier: Classifier, sample: BatchSample, storing: Storing) -> _Ready | str:
    """The sample ready for the encoders, or the sentence that says what is wrong with it."""
    try:
        file = str(sample.note) if isinstance(sample.note, Path) else None
        note, remarks = read_note(str(sample.note)) if isinstance(sample.note, Path) else (sample.note, [])
        given = storing.given(sample.image, note, file)
        return _Ready(sample, classifier.read(sample.image, note), remarks, given)
    except (BadInput, DoesNotFit) as error:
        return str(error)
    except MemoryError:
        return f"There is not enough memory to decode {sample.image}; make the picture smaller first."
