"""The rule by which an answer is referred, and its form in head.json."""

from __future__ import annotations

import pytest

from edgefuse.answering.referral import Kept, Referral, Threshold, from_json

RULE = Referral(
    0.9,
    {
        "fused": Threshold(0.62, Kept(0.75, 0.904, 278)),
        "image_only": Threshold(0.7, Kept(0.5, 0.91, 278)),
        "text_only": Threshold(None, Kept(0.0, 1.0, 278)),
    },
)


def test_an_answer_sure_enough_is_given() -> None:
    assert RULE.reason("fused", "mel", 0.62) is None
    assert RULE.reason("image_only", "mel", 0.9) is None


def test_an_answer_that_is_not_is_referred_with_the_reason() -> None:
    assert RULE.reason("image_only", "mel", 0.6185) == (
        "The image-only head is 61.9% sure of mel; it answers from 70.0% on, "
        "where 91% of its answers to validation rows were right."
    )


def test_a_head_that_never_was_right_enough_refers_everything() -> None:
    assert RULE.reason("text_only", "mel", 1.0) == (
        "The text-only head did not reach the wanted accuracy of 90% on validation rows, however sure it was."
    )


def test_json_gives_it_back() -> None:
    data = RULE.to_json()
    assert data["threshold"] == 0.62
    assert data["wanted_accuracy"] == 0.9
    assert data["validation"] == {"coverage": 0.75, "accuracy": 0.904, "rows": 278}
    assert list(data["alone"]) == ["image_only", "text_only"]
    assert from_json(data) == RULE


@pytest.mark.parametrize("damage", ["alone", "threshold", "validation", "wanted_accuracy"])
def test_what_lacks_a_part_is_refused(damage: str) -> None:
    data = RULE.to_json()
    del data[damage]
    with pytest.raises(KeyError):
        from_json(data)
