"""Limits that an export must keep."""

from __future__ import annotations

import pytest

from edgefuse_export.parity.gates import Gates
from edgefuse_runtimes.errors import BadInput, QualityGate

FOUND = {"plain": {"mean": 8.0e-4}, "count": 130, "on": "the drawn example"}
LABELS = {
    "head": {"name": "the head H"},
    "samples": {"count": 50, "pictures_from": "table.csv"},
    "comparisons": {"both": {"agreement": {"mean": 0.94}, "flips": [{}, {}, {}]}},
}


def test_no_gate_refuses_nothing() -> None:
    Gates().check_head(given=False)
    Gates().check_error("image", FOUND)
    Gates().check_agreement(LABELS)


def test_what_keeps_the_limit_passes() -> None:
    gates = Gates(max_error=8.0e-4, min_agreement=0.94)
    gates.check_head(given=True)
    gates.check_error("image", FOUND)
    gates.check_agreement(LABELS)


def test_an_error_above_the_limit_fails() -> None:
    with pytest.raises(QualityGate) as refusal:
        Gates(max_error=6e-4).check_error("image", FOUND)
    assert refusal.value.exit_code == 3
    assert str(refusal.value) == (
        "The image encoder's mean 1 - cosine to its source is 8.00e-04 on 130 samples of the drawn example, and "
        "--max-error allows 6.00e-04; nothing was kept: export it in a higher precision or allow more."
    )


def test_too_little_agreement_fails() -> None:
    with pytest.raises(QualityGate) as refusal:
        Gates(min_agreement=0.95).check_agreement(LABELS)
    assert str(refusal.value) == (
        "With the head H, 94.00% of 50 samples of table.csv keep their label (3 flip), and --min-agreement asks for "
        "95.00%; nothing was kept: export in a higher precision or ask for less."
    )


def test_agreement_needs_a_head() -> None:
    with pytest.raises(BadInput, match="and no head is named; add --head or --kit, or leave it out"):
        Gates(min_agreement=0.95).check_head(given=False)
