"""Queries as records in a file."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edgefuse_bench.query_log import FIRST, MEASURED, TIMES, WARMUP, QueryLog, count, read

NUMBERS = st.integers(0, 2**62)


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, st.dictionaries(st.sampled_from(TIMES), NUMBERS))))
def test_what_was_written_is_read_again(tmp_path_factory, rows) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "log"
    path.unlink(missing_ok=True)
    with QueryLog(path) as log:
        for sample, asked, total, stages in rows:
            log.write(MEASURED, sample, asked, total, stages)

    found = read(path, process=2, began_ns=5, cold=True)[MEASURED]

    assert count(path) == len(found) == len(rows)
    for query, (sample, asked, total, stages) in zip(found, rows, strict=True):
        assert (query.sample, query.start_ns, query.total_ns, query.process) == (sample, asked - 5, total, 2)
        assert query.stages_ns == dict.fromkeys(TIMES, 0) | stages


def test_loading_belongs_to_the_first_query(tmp_path) -> None:
    with QueryLog(tmp_path / "log") as log:
        for kind in (FIRST, WARMUP, MEASURED):
            log.write(kind, 0, 0, 9, {"load": 4, "head": 1})

    found = read(tmp_path / "log", process=0, began_ns=0)

    assert found[FIRST][0].stages_ns["load"] == 4
    assert all("load" not in found[kind][0].stages_ns for kind in (WARMUP, MEASURED))


def test_a_record_that_is_half_written_does_not_count_yet(tmp_path) -> None:
    with QueryLog(tmp_path / "log") as log:
        log.write(MEASURED, 0, 0, 9, {})
    with (tmp_path / "log").open("ab") as file:
        file.write(b"half")

    assert count(tmp_path / "log") == 1
    assert len(read(tmp_path / "log", process=0, began_ns=0)[MEASURED]) == 1
    assert count(tmp_path / "missing") == 0
