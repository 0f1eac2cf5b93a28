"""Exports hold every answer, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import pytest
from hypothesis import given, strategies

from edgefuse.answering.prediction import Prediction
from edgefuse.results.exporting import csv_lines, guarded, json_lines
from edgefuse.results.inputs import Given
from edgefuse.results.log import ResultsLog


def test_the_table_has_a_column_for_every_class_and_stage(
    log: ResultsLog, prediction: Callable[..., Prediction]
) -> None:
    log.store(prediction(), Given("p", "n"), case="A-17")
    other = prediction(
        probabilities={"yes": 1.0}, timings_ms={"decode": 1.0, "total": 2.0}, missing=["text"], referred=True
    )
    log.store(other, Given())
    first, second = csv.DictReader(io.StringIO("".join(csv_lines(log.records)), newline=""))
    assert (first["number"], first["case"], first["label"], first["referred"]) == ("1", "A-17", "nv", "no")
    assert (first["p_mel"], first["p_nv"], first["p_yes"]) == ("0.25", "0.75", "")
    assert (first["load_ms"], first["decode_ms"]) == ("1.5", "")
    assert (first["engine_text"], first["precision_text"], first["picture_hash"]) == ("llama.cpp", "q8_0", "p")
    assert (second["p_yes"], second["p_nv"], second["missing"], second["referred"]) == ("1.0", "", "text", "yes")
    assert (second["decode_ms"], second["load_ms"]) == ("1.0", "")


def test_a_table_of_nothing_has_its_header(log: ResultsLog) -> None:
    (line,) = csv_lines(log.records)
    assert line.startswith("number,time,")


def test_a_line_of_json_is_a_record(log: ResultsLog, prediction: Callable[..., Prediction]) -> None:
    log.store(prediction(), Given(kept_note="Läsion\nam Bein"), case="Ä")
    (line,) = json_lines(log.records)
    assert json.loads(line) == log.record(1).to_json()
    assert line.isascii()


@pytest.mark.parametrize("words", ["=1+2", "+1", "-1", "@SUM(A1)", "\t=1", "  =1", "＝1", "\r=1"])
def test_what_a_spreadsheet_would_compute_is_guarded(
    log: ResultsLog, prediction: Callable[..., Prediction], words: str
) -> None:
    log.store(prediction(label=words), Given(kept_note=words), case=words)
    (row,) = csv.DictReader(io.StringIO("".join(csv_lines(log.records)), newline=""))
    assert (row["label"], row["kept_note"], row["case"]) == (f"'{words}",) * 3


@given(strategies.text())
def test_a_cell_begins_harmless_and_loses_nothing(words: str) -> None:
    cell = guarded(words)
    assert cell in (words, f"'{words}")
    assert cell.lstrip(" ")[:1] not in tuple("=+-@\t\r\n＝＋－＠")


def test_numbers_stay_numbers() -> None:
    assert guarded(-1.5) == -1.5
    assert guarded(None) is None
