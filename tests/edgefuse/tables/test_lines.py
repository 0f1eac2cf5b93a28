"""Numbers out of cells: what is read, and what is refused, whatever anyone wrote."""

from __future__ import annotations

import contextlib
import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse.tables.complaints import Complaints
from edgefuse.tables.lines import header_of, open_lines, vector, vector_of_list
from edgefuse.tables.writing import numbers_text
from edgefuse_runtimes.errors import BadInput

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def complaints() -> Complaints:
    return Complaints(Path("x.csv"))


@given(st.lists(FLOATS, min_size=1, max_size=8))
def test_what_is_written_reads_back_bit_by_bit(values: list[float]) -> None:
    numbers = np.array(values, np.float32)
    for read in (
        vector(numbers_text(numbers, ",").split(","), "row", complaints()),
        vector_of_list(f"[{numbers_text(numbers, ', ')}]", "row", complaints()),
    ):
        assert read is not None
        np.testing.assert_array_equal(read.view(np.int32), numbers.view(np.int32))


@given(st.integers(0, 2**32 - 1))
def test_any_float32_reads_back(pattern: int) -> None:
    number = np.array([pattern], np.uint32).view(np.float32)
    if np.isfinite(number[0]):
        read = vector([numbers_text(number, ",")], "row", complaints())
        assert read is not None
        assert read.view(np.uint32)[0] == pattern


@given(st.text(max_size=12))
def test_a_cell_is_a_finite_number_or_complained_of(cell: str) -> None:
    told = complaints()
    read = vector([cell], "row", told)
    assert (read is None) == bool(told.found)
    if read is not None:
        assert math.isfinite(read[0])
        assert np.float32(float(cell)) == read[0]
        assert set(cell) <= set("0123456789+-.eE \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f")


@given(
    st.one_of(
        st.text(max_size=30),
        st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(json.dumps),
    )
)
def test_a_list_is_finite_numbers_or_complained_of(text: str) -> None:
    told = complaints()
    read = vector_of_list(text, "row", told)
    assert (read is None) == bool(told.found)
    if read is not None:
        assert read.ndim == 1
        assert np.isfinite(read).all()
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(read, np.array(json.loads(text), np.float32))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("__import__('os').system('touch pwned')", "no list"),
        ("[1.0, __import__('os')]", "no list"),
        ("(1, 2)", "no list"),
        ("[1 2 3]", "no list"),
        ("[0.1, ..., 0.2]", "no list"),
        ("[[1, 2]]", "no list"),
        ("[true]", "no list"),
        ('["1"]', "no list"),
        ("[null]", "no list"),
        ("1.0", "no list"),
        ("", "no list"),
        ("[" * 100_000, "no list"),
        ("[NaN]", "NaN or infinite"),
        ("[-Infinity]", "NaN or infinite"),
        ("[1e999]", "NaN or infinite"),
        ("[1e39]", "NaN or infinite"),
        (f"[1{'0' * 5000}]", "NaN or infinite"),
    ],
)
def test_lists_are_read_as_json_and_never_run(
    text: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = complaints()
    assert vector_of_list(text, "seven", told) is None
    (found,) = told.found
    assert fault in found
    assert told.found[found] == ["seven"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("cell", ["", "abc", "1_000", "١٢", "0x10", "1,5", "None", "1.0.0"])
def test_cells_that_are_no_numbers(cell: str) -> None:
    told = complaints()
    assert vector(["1.0", cell], "seven", told) is None
    with pytest.raises(BadInput, match=r"1 rows of x\.csv hold cells that are no numbers among their vectors: seven;"):
        told.check()


@pytest.mark.parametrize("cell", ["nan", "NaN", "inf", "-Infinity", "1e39", "1e999"])
def test_cells_that_are_not_finite(cell: str) -> None:
    told = complaints()
    assert vector(["1.0", cell], "seven", told) is None
    with pytest.raises(BadInput, match=r"1 rows of x\.csv hold NaN or infinite numbers: seven;"):
        told.check()


def test_the_first_three_rows_are_named_and_all_counted() -> None:
    told = complaints()
    told.check()
    for k in range(5):
        told.add("are odd", f"id{k}")
    told.add("are even", "id9")
    with pytest.raises(BadInput) as refusal:
        told.check()
    assert str(refusal.value) == (
        "5 rows of x.csv are odd: id0, id1, id2, ... (1 rows have other faults); correct or remove them."
    )


@given(st.binary(max_size=200))
def test_any_bytes_are_lines_or_a_sentence(data: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(data)
        with contextlib.suppress(BadInput), open_lines(Path(file.name)) as (header, lines):
            assert all(cells for _, cells in lines)
            assert len(set(header)) == len(header)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no table at"):
        header_of(tmp_path / "x.csv")
    with pytest.raises(BadInput, match="is a folder"):
        header_of(tmp_path)
    (tmp_path / "x.csv").write_text("a,b,a\n")
    with pytest.raises(BadInput, match="the column 'a' more than once"):
        header_of(tmp_path / "x.csv")


def test_a_quote_that_is_never_closed_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('a,b\n1,"2\n' + "3,4\n" * 10)
    with pytest.raises(BadInput, match=r"is not valid CSV"), open_lines(tmp_path / "x.csv") as (_, lines):
        list(lines)
