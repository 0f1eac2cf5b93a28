"""Labels as text and as numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgefuse.labels import names_of, to_numbers, to_text

CLASSES = ("itch", "pain", "swelling")


def test_a_multilabel_label_joins_the_classes_that_hold() -> None:
    assert names_of("itch | pain|itch", multilabel=True) == ("itch", "pain")
    assert names_of("", multilabel=True) == ()
    assert names_of("itch|pain", multilabel=False) == ("itch|pain",)


def test_numbers_of_both_kinds() -> None:
    np.testing.assert_array_equal(to_numbers(["pain", "itch"], CLASSES, multilabel=False), [1, 0])
    found = to_numbers(["pain|itch", "", "swelling"], CLASSES, multilabel=True)
    np.testing.assert_array_equal(found, [[1, 1, 0], [0, 0, 0], [0, 0, 1]])


@given(st.lists(st.sets(st.sampled_from(CLASSES))))
def test_text_of_numbers_is_read_back(rows: list[set[str]]) -> None:
    labels = ["|".join(sorted(row)) for row in rows]
    assert to_text(to_numbers(labels, CLASSES, multilabel=True), CLASSES) == labels
