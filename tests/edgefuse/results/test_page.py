"""A log may come from anybody: what is printed of it does not steer the terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from edgefuse.answering.prediction import Prediction
from edgefuse.results.inputs import Given
from edgefuse.results.log import ResultsLog
from edgefuse.results.page import lines, page

STEER = "\x1b]0;owned\x07\x1b[2J"


def test_what_would_steer_a_terminal_is_not_printed(log: ResultsLog, prediction: Callable[..., Prediction]) -> None:
    kit = {"name": STEER, "version": STEER, "digest": STEER}
    words = {
        "label": f"nv{STEER}",
        "reason": STEER,
        "notes": [STEER],
        "missing": [STEER],
        "probabilities": {STEER: 1.0},
    }
    log.store(prediction(kit=kit, referred=True, **words), Given())
    record = dataclasses.replace(log.record(1), case=STEER)
    for text in [*lines([record]), *page(record)]:
        assert "\x07" not in text
        assert "\x1b[2J" not in text
        assert "\x1b]" not in text
    assert "nv ]0;owned [2J" in "\n".join(page(record))
