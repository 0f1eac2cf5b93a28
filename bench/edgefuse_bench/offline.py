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
    """The file of a batch's answers, which also writes down when each group of them was on the disk."""

    def __init__(
        self, path: Path, digest: str, *, asked: Sequence[int], group: int, log: QueryLog, asker: Asker
    ) -> None:
        """`asked` are the samples' numbers, by the ids "0", "1", ... of the batch; `group` are found together."""
        super().__init__(path, digest)
        self._asked, self._group, self._log, self._asker = asked, group, log, asker
        self._before_ns = time.monotonic_ns()
        self._found: list[tuple[int, dict[str, Any]]] = []

    def append(self, sample_id: str, answer: dict[str, Any]) -> None:
        """Add a sample's answer; its time is its share of that since the group before."""
        super().append(sample_id, answer)
        self._found.append((self._asked[int(sample_id)], answer))
        if len(self._found) == self._group:
            self._tell()

    def close(self) -> None:
        """Tell the last answers, which may be fewer, and let the file go."""
        self._tell()
        super().close()

    def _tell(self) -> None:
        now = time.monotonic_ns()
        share = (now - self._before_ns) // max(1, len(self._found))
        for number, (sample, answer) in enumerate(self._found):
            begun = self._before_ns + number * share
            self._log.write(MEASURED, sample, begun, share, stages_ns(answer["timings_ms"]))
            self._asker.keep(sample, answer)
        self._found.clear()
        self._before_ns = now


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
        TimedAnswers(path, classifier.kit.digest, asked=asked, group=classifier.group, log=log, asker=asker) as answers,
    ):
        classify_batch(classifier, batch, answers, failed, nowhere)
    asker.unreadable |= {asked[int(name)]: sentence for name, sentence in failed.items()}
