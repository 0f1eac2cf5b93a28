"""The paper's Table 2, from the widths and row counts of method and data sets."""

import pytest

from edgefuse.evaluation.megabytes import head_megabytes, read_megabytes

ROWS = {"BRSET": (13_012, 1), "HAM10000": (8012, 7), "SatelliteBench": (936, 1)}
"""Training rows, and label numbers of a row."""
BERT_BASE, VIT_BASE = 109_482_240, 86_389_248


@pytest.mark.parametrize(
    ("values", "printed"),
    [
        (4096 + 768, {"BRSET": 241.48, "HAM10000": 148.87, "SatelliteBench": 17.37}),
        (512 + 512, {"BRSET": 50.88, "HAM10000": 31.51, "SatelliteBench": 3.66}),
        (3 * 224 * 224, {"BRSET": 7471.78, "HAM10000": 4600.85, "SatelliteBench": 537.48}),
    ],
)
def test_what_an_epoch_reads_is_what_the_paper_prints(values: int, printed: dict[str, float]) -> None:
    for name, (rows, outputs) in ROWS.items():
        assert read_megabytes(rows, values, outputs) == pytest.approx(printed[name], abs=0.01)


@pytest.mark.parametrize(
    ("parameters", "printed"),
    [
        (623_105, 2.38),
        (311_809, 1.19),
        (131_585, 0.50),
        (66_049, 0.25),
        (BERT_BASE + VIT_BASE + 1536 * 128 + 3 * 128 + 129, 747.94),
        (BERT_BASE + VIT_BASE + 2 * (768 * 64 + 3 * 64) + 129, 747.57),
    ],
)
def test_what_a_head_holds_is_what_the_paper_prints(parameters: int, printed: float) -> None:
    assert head_megabytes(parameters) == pytest.approx(printed, abs=0.006)
