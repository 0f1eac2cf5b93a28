"""Answers are written beside the encoder, one at a time and in order, and none is lost by that."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from edgefuse import Classifier
from edgefuse.answering.inputs import Inputs
from edgefuse.answering.prediction import Prediction
from edgefuse.batch.answers_file import AnswersFile
from edgefuse.batch.running import Outcome, classify_batch
from edgefuse.batch.samples import BatchSample
from edgefuse.results.storing import open_storing

SAMPLES = [BatchSample(f"case {number}", None, f"Note number {number}.") for number in range(4)]


@pytest.fixture
def classifier(tiny_kit: Path) -> Iterator[Classifier]:
    with Classifier.open(tiny_kit, engine="numpy", threads=1) as opened:
        yield opened


@pytest.fixture
def answers(classifier: Classifier, tmp_path: Path) -> Iterator[AnswersFile]:
    with AnswersFile(tmp_path / "answers.jsonl", classifier.kit.digest) as opened:
        yield opened


def run(classifier: Classifier, answers: AnswersFile) -> Outcome:
    return classify_batch(classifier, SAMPLES, answers, {}, open_storing(log=False, say=print))


def test_the_next_answer_is_found_while_one_is_written(classifier, answers, monkeypatch) -> None:
    found = [threading.Event() for _ in SAMPLES]
    answer, append = Classifier.answer_together, AnswersFile.append

    def telling(self: Classifier, group: Sequence[Inputs]) -> list[Prediction]:
        predictions = answer(self, group)
        for inputs in group:
            found[SAMPLES.index(next(sample for sample in SAMPLES if sample.note == inputs.note))].set()
        return predictions

    def slow(self: AnswersFile, sample_id: str, line: dict[str, object]) -> None:
        following = [sample.id for sample in SAMPLES].index(sample_id) + 1
        if following < len(SAMPLES):
            assert found[following].wait(60), "the encoder waits until the answer is written"
        append(self, sample_id, line)

    monkeypatch.setattr(Classifier, "answer_together", telling)
    monkeypatch.setattr(AnswersFile, "append", slow)

    assert run(classifier, answers).answered == len(SAMPLES)
    assert answers.answered == {sample.id for sample in SAMPLES}


def test_what_cannot_be_written_ends_the_batch_and_the_rerun_finishes_it(classifier, answers, monkeypatch) -> None:
    append = AnswersFile.append

    def full(self: AnswersFile, sample_id: str, line: dict[str, object]) -> None:
        if sample_id == SAMPLES[-1].id:
            raise OSError(28, "No space left on device")
        append(self, sample_id, line)

    monkeypatch.setattr(AnswersFile, "append", full)
    with pytest.raises(OSError, match="No space left"):
        run(classifier, answers)
    monkeypatch.undo()

    again = run(classifier, answers)

    assert (again.answered, again.before) == (1, 3)
    assert answers.answered == {sample.id for sample in SAMPLES}
