"""In what order a process is asked: one query after another, for so many or for so long."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgefuse.answering.classifier import Classifier
from edgefuse_bench.order import Order, Sample
from edgefuse_bench.query_log import FIRST, MEASURED, WARMUP, QueryLog
from edgefuse_runtimes.errors import BadInput, DoesNotFit

Clock = Callable[[], int]


class Asker:
    """Asks a classifier, and writes down what every answer took and said."""

    def __init__(
        self, classifier: Classifier, samples: Sequence[Sample], log: QueryLog, clock: Clock = time.monotonic_ns
    ) -> None:
        self._classifier, self._samples, self._log, self._clock = classifier, samples, log, clock
        self.unreadable: dict[int, str] = {}
        """Samples that cannot be read, and the sentence why: they are left out from then on."""
        self.probabilities: dict[int, list[float]] = {}
        """By sample, of its last answer."""
        self.referred: set[int] = set()
        """Samples whose last answer was "ask a clinician"."""
        self.engines: dict[str, str | None] = {"image": None, "text": None}
        self.precisions: dict[str, str | None] = {"image": None, "text": None}
        self.tuned = False
        """Whether `edgefuse tune` chose how to answer."""
        self.notes: dict[str, None] = {}
        """Every sentence of every answer once, in order."""

    def ask(self, kind: int, number: int, *, start_ns: int = 0, since_ns: int | None = None, open_ns: int = 0) -> None:
        """Ask query `number`; a sample that cannot be read is left out, and the next one asked.

        Args:
            kind: of the query, see `query_log`.
            number: of the query: the samples come in turn.
            start_ns: what starting the process took.
            since_ns: what to count the answer's time from, if not from now.
            open_ns: what opening the kit took, which the first answer counts to its loading and is told by itself.

        Raises:
            BadInput: no sample can be read, or the kit cannot be answered with.
        """
        while True:
            index = self._sample(number)
            sample = self._samples[index]
            asked = self._clock() if since_ns is None else since_ns
            try:
                inputs = self._classifier.read(sample.image, sample.text)
            except (BadInput, DoesNotFit) as error:
                self.unreadable[index] = str(error)
                continue
            prediction = self._classifier.answer(inputs)
            total = self._clock() - asked
            stages = stages_ns(prediction.timings_ms)
            apart = {"start": start_ns, "load": max(0, stages["load"] - open_ns)}
            self._log.write(kind, index, asked, total, stages | apart)
            self.keep(index, vars(prediction))
            return

    def keep(self, sample: int, answer: Mapping[str, Any]) -> None:
        """Keep what an answer, the fields of a Prediction, said."""
        self.probabilities[sample] = list(answer["probabilities"].values())
        (self.referred.add if answer["referred"] else self.referred.discard)(sample)
        for modality in self.engines:
            self.engines[modality] = answer["engines"][modality] or self.engines[modality]
            self.precisions[modality] = answer["precisions"][modality] or self.precisions[modality]
        self.tuned = answer["tuned"]
        self.notes |= dict.fromkeys(answer["notes"])

    def _sample(self, number: int) -> int:
        count = len(self._samples)
        if len(self.unreadable) == count:
            raise BadInput(next(iter(self.unreadable.values())))
        return next(index % count for index in range(number, number + count) if index % count not in self.unreadable)


def stages_ns(timings_ms: Mapping[str, float]) -> dict[str, int]:
    """Nanoseconds of each stage apart: in an answer's times decoding is a part of "image", tokenising of "text"."""
    times = {name: round(value * 1e6) for name, value in timings_ms.items() if name != "total"}
    times["image"] -= times["decode"]
    times["text"] -= times["tokenise"]
    return times


def load(asker: Asker, order: Order, open_ns: int) -> None:
    """The first query, which opens the encoders of the kit that was opened in so many nanoseconds."""
    asker.ask(FIRST, order.first, open_ns=open_ns)


def warm_up(asker: Asker, order: Order) -> None:
    """The queries after the first one that are kept apart."""
    for number in range(order.warmup):
        asker.ask(WARMUP, order.first + 1 + number)


def single_stream(asker: Asker, order: Order) -> None:
    """One query after another, each as soon as the one before was answered (LoadGen's SingleStream)."""
    begin = order.first + 1 + order.warmup
    for number in range(begin, begin + order.queries):
        asker.ask(MEASURED, number)


def sustained(asker: Asker, order: Order, clock: Clock = time.monotonic_ns) -> None:
    """The same for so many seconds, however many queries that are; one at the least."""
    assert order.seconds is not None
    end = clock() + round(order.seconds * 1e9)
    number = order.first + 1 + order.warmup
    asker.ask(MEASURED, number)
    while clock() < end:
        number += 1
        asker.ask(MEASURED, number)


def cold(asker: Asker, order: Order, spawned_ns: int, entered_ns: int) -> None:
    """The one query of this process, counted from when the process was started; it entered our code at `entered_ns`."""
    asker.ask(MEASURED, order.first, start_ns=entered_ns - spawned_ns, since_ns=spawned_ns)
