"""Rows that stay in their files, against the same rows in memory."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse.embeddings.mapped import MappedRows, parts
from edgefuse_runtimes.errors import BadInput

ROWS = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)


@pytest.fixture
def mapped(tmp_path: Path) -> MappedRows:
    """Ten rows in shards of four."""
    paths = tuple(tmp_path / f"text-{number:04d}.npy" for number in range(3))
    for number, path in enumerate(paths):
        np.save(path, ROWS[4 * number : 4 * number + 4])
    return MappedRows(paths, (10, 3), 4)


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        np.int64(7),
        slice(None),
        slice(2, 9, 3),
        slice(5, 5),
        np.array([9, 0, 0, 4]),
        np.array([], np.int64),
        np.arange(10) % 3 == 1,
    ],
    ids=str,
)
def test_indexing_is_that_of_an_array(mapped: MappedRows, key: Any) -> None:
    found = mapped[key]
    assert found.shape == ROWS[key].shape
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, ROWS[key])


def test_it_is_read_whole_where_an_array_is_wanted(mapped: MappedRows) -> None:
    np.testing.assert_array_equal(np.asarray(mapped), ROWS)
    np.testing.assert_array_equal(list(mapped), ROWS)
    assert (len(mapped), mapped.shape) == (10, (10, 3))


@pytest.mark.parametrize("key", [10, -11, np.array([3, 10])])
def test_a_row_beyond_the_end_is_an_index_error(mapped: MappedRows, key: Any) -> None:
    with pytest.raises(IndexError):
        mapped[key]


def test_what_was_read_is_a_copy_and_needs_the_files_no_more(mapped: MappedRows) -> None:
    found = mapped[:5]
    shutil.rmtree(mapped.paths[0].parent)
    np.testing.assert_array_equal(found, ROWS[:5])
    with pytest.raises(BadInput, match=r"lacks the shard text-0000\.npy"):
        mapped[0]


def test_parts_are_the_shards_of_mapped_rows_and_an_array_as_it_is(mapped: MappedRows) -> None:
    assert [len(part) for part in parts(mapped)] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate(list(parts(mapped))), ROWS)
    (whole,) = parts(ROWS)
    assert whole is ROWS
