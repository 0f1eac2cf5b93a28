"""What a process is asked, in which order, and what is written down of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse.answering.prediction import Prediction
from edgefuse_bench import asking
from edgefuse_bench.asking import Asker, stages_ns
from edgefuse_bench.order import Order, Sample
from edgefuse_bench.query_log import FIRST, MEASURED, WARMUP, QueryLog, read
from edgefuse_runtimes.errors import BadInput

TIMES = {"load": 0.0, "image": 2.0, "decode": 0.5, "text": 1.25, "tokenise": 0.25, "head": 0.000001, "total": 9.0}
STAGES = {"decode": 500_000, "image": 1_500_000, "tokenise": 250_000, "text": 1_000_000, "head": 1}


class Answers:
    """A classifier that cannot read the picture "broken" and takes longer for "slow", on a clock of its own."""

    def __init__(self) -> None:
        self.now = 0
        self.asked: list[str] = []

    def clock(self) -> int:
        self.now += 10
        return self.now

    def read(self, image: str, _: str | None) -> str:
        if image == "broken":
            raise BadInput("broken cannot be read.")
        return image

    def answer(self, image: str) -> Prediction:
        self.asked.append(image)
        self.now += 7_000_000 if image == "slow" else 2_000_000
        return Prediction(
            image=image,
            label="a",
            labels=["a"],
            referred=image == "slow",
            reason=None,
            probabilities={"a": 0.75, "b": 0.25},
            kit={},
            missing=["text"],
            engines={"image": "numpy", "text": None},
            precisions={"image": "int8", "text": None},
            cached=[],
            timings_ms=TIMES,
            memory={},
            notes=[f"{image} was given."],
            tuned=True,
        )


def order(folder: Path, **more: Any) -> Order:
    settings: dict[str, Any] = {"first": 0, "warmup": 2, "queries": 3, "seconds": None}
    settings |= {"scenario": "SingleStream", "engine": "auto", "threads": None, "precision": None}
    return Order(folder=str(folder), kit="kit", **{"samples": (), **settings, **more})


@pytest.fixture
def asked(tmp_path: Path) -> Callable[..., Any]:
    """Asks samples with these pictures as `ask` says: the log's queries by kind, the classifier and the asker."""

    def run(pictures: list[str], ask: Callable[[Asker, Answers], None]) -> Any:
        classifier = Answers()
        with QueryLog(tmp_path / "log") as log:
            asker = Asker(classifier, [Sample(picture, None) for picture in pictures], log, classifier.clock)
            ask(asker, classifier)
        return read(tmp_path / "log", process=0, began_ns=0), classifier, asker

    return run


def test_each_query_is_timed_from_asking_to_its_answer(asked, tmp_path) -> None:
    def ask(asker: Asker, _: Answers) -> None:
        asking.load(asker, order(tmp_path), open_ns=5)
        asking.warm_up(asker, order(tmp_path))
        asking.single_stream(asker, order(tmp_path))

    found, classifier, asker = asked(["fast", "slow"], ask)

    assert classifier.asked == ["fast", "slow"] * 3
    assert [len(found[kind]) for kind in (FIRST, WARMUP, MEASURED)] == [1, 2, 3]
    assert found[FIRST][0].stages_ns == STAGES | {"load": 0}
    for query in found[MEASURED]:
        assert query.total_ns == (7_000_010 if query.sample else 2_000_010)
        assert query.stages_ns == STAGES
    assert asker.probabilities == {0: [0.75, 0.25], 1: [0.75, 0.25]}
    assert asker.referred == {1}
    assert asker.tuned is True
    assert asker.engines == {"image": "numpy", "text": None}
    assert list(asker.notes) == ["fast was given.", "slow was given."]


def test_asking_goes_on_for_so_many_seconds(asked, tmp_path) -> None:
    found, classifier, _ = asked(
        ["slow"], lambda asker, classifier: asking.sustained(asker, order(tmp_path, seconds=0.07), classifier.clock)
    )

    assert len(found[MEASURED]) == 10
    assert classifier.now >= 70_000_000


def test_however_short_the_time_is_one_query_is_asked(asked, tmp_path) -> None:
    found, _, _ = asked(
        ["slow"], lambda asker, classifier: asking.sustained(asker, order(tmp_path, seconds=1e-10), classifier.clock)
    )

    assert len(found[MEASURED]) == 1


def test_a_cold_query_counts_from_when_its_process_was_started(asked, tmp_path) -> None:
    def ask(asker: Asker, classifier: Answers) -> None:
        classifier.now = 5_000_000
        asking.cold(asker, order(tmp_path, first=1), spawned_ns=1_000_000, entered_ns=4_000_000)

    _, classifier, _ = asked(["fast", "slow"], ask)
    (query,) = read(tmp_path / "log", process=3, began_ns=500_000, cold=True)[MEASURED]

    assert (query.sample, query.process, query.start_ns) == (1, 3, 500_000)
    assert query.total_ns == classifier.now - 1_000_000
    assert query.stages_ns == STAGES | {"start": 3_000_000, "load": 0}


def test_a_sample_that_cannot_be_read_is_left_out_from_then_on(asked, tmp_path) -> None:
    _, classifier, asker = asked(
        ["a", "broken", "c"], lambda asker, _: asking.single_stream(asker, order(tmp_path, warmup=0, queries=5))
    )

    assert classifier.asked == ["c", "c", "a", "c", "c"]
    assert asker.unreadable == {1: "broken cannot be read."}


def test_where_no_sample_can_be_read_the_first_sentence_is_the_refusal(asked, tmp_path) -> None:
    with pytest.raises(BadInput, match=r"broken cannot be read\."):
        asked(["broken", "broken"], lambda asker, _: asking.load(asker, order(tmp_path), 0))


def test_decoding_and_tokenising_are_no_part_of_the_encoders_here() -> None:
    assert stages_ns(TIMES) == STAGES | {"load": 0}


def test_an_order_is_read_as_it_was_written(tmp_path) -> None:
    written = order(tmp_path, samples=(Sample("a.png", "Größe 8 mm"), Sample(None, "x")))

    path = written.write()

    assert Order.read(path) == dataclasses.replace(written, samples=list(written.samples))
