from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.gguf.notes import check_notes, groups


@given(lengths=st.lists(st.integers(1, 50), max_size=40), limit=st.integers(1, 100))
def test_every_note_is_in_one_group_that_keeps_the_limit(lengths, limit):
    found = list(groups(lengths, limit))
    assert sorted(index for group in found for index in group) == list(range(len(lengths)))
    for group in found:
        assert len(group) == 1 or sum(lengths[index] for index in group) <= limit
    shortest_first = [lengths[index] for group in found for index in group]
    assert shortest_first == sorted(lengths)


@pytest.mark.parametrize(
    ("note", "problem"), [([], "no tokens"), ([[1]], "no tokens"), ([-1], "outside"), ([3, 10], "outside")]
)
def test_a_note_that_no_network_can_take_is_named(note, problem):
    with pytest.raises(BadInput, match=f"Note 1 .*{problem}"):
        check_notes([np.array([0, 9], np.int32), np.array(note, np.int32)], 10)
