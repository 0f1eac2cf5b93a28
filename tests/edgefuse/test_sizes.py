"""Sizes as people write them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse.sizes import parse_size, said_size

pytestmark = pytest.mark.field


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1G", 2**30),
        ("1g", 2**30),
        ("512M", 512 * 2**20),
        ("512 MiB", 512 * 2**20),
        ("1.5GiB", 3 * 2**29),
        ("8GB", 8 * 10**9),
        ("32 gb", 32 * 10**9),
        ("2T", 2**41),
        ("64K", 2**16),
        ("1073741824", 2**30),
        ("700B", 700),
    ],
)
def test_units_are_those_of_the_gnu_tools(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1G", "1X", "1e9", "nan", "1,5G", "0", "0.2", "1iB", "1 G B", "٣G"])
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no size|is under one byte"):
        parse_size(text)


@given(st.text(max_size=12))
def test_any_text_is_a_size_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_size(text) > 0


@given(st.integers(1, 2**50))
def test_plain_bytes_read_back(size: int) -> None:
    assert parse_size(str(size)) == size


def test_pages_round_up() -> None:
    assert [said_size(size) for size in (1, 2**20, 2**20 + 1, 7 * 2**30)] == ["1 MiB", "1 MiB", "2 MiB", "7.0 GiB"]
