"""Offline: all samples as one batch, by the code of `edgefuse classify DIR --output FILE` (LoadGen's Offline)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgefuse.answering.classifier import Classifier
from edgefuse.batch.answers_file import AnswersFile
from edgefuse.batch.running import classify_batch
from edgefuse.batch.samples import BatchSample
from edgefuse.results.storing import open_storing
from edgefuse_bench.asking import Asker, stages_ns
from edgefuse_bench.order import Order
from edgefuse_bench.query_log import MEASURED, QueryLog


class TimedAnswers(AnswersFile):
    """The file of a batch's answers, which also writes down when each of them was on the disk."""

    def __init__(self, path: Path, digest: str, *, asked: Sequence[int], log: QueryLog, asker: Asker) -> None:
        """`asked` are the samples' numbers, by the ids "0", "1", ... of the batch."""
        super().__init__(path, digest)
        self._asked, self._log, self._asker = asked, log, asker
        self._before_ns = time.monotonic_ns()

    def append(self, sample_id: str, answer: dict[str, Any]) -> None:
        """Add a sample's answer; its time is that since the answer before."""
        super().append(sample_id, answer)
        now, sample = time.monotonic_ns(), self._asked[int(sample_id)]
        self._log.write(MEASURED, sample, self._before_ns, now - self._before_ns, stages_ns(answer["timings_ms"]))
        self._before_ns = now
        self._asker.keep(sample, answer)


def offline(asker: Asker, order: Order, classifier: Classifier, log: QueryLog) -> None:
    """Classify as many samples as there are to be queries, in turn."""
    usable = [index for index in range(len(order.samples)) if index not in asker.unreadable]
    asked = [usable[number % len(usable)] for number in range(order.queries)]
    batch = [
        BatchSample(str(number), None if sample.image is None else Path(sample.image), sample.text)
        for number, sample in enumerate(order.samples[index] for index in asked)
    ]
    failed: dict[str, str] = {}
    path = Path(order.folder) / "answers.jsonl"
    with (
        open_storing(log=False, say=print) as nowhere,  # these are no answers about anybody
        TimedAnswers(path, classifier.kit.digest, asked=asked, log=log, asker=asker) as answers,
    ):
        classify_batch(classifier, batch, answers, failed, nowhere)
    asker.unreadable |= {asked[int(name)]: sentence for name, sentence in failed.items()}
