"""What a method keeps in memory and reads, as the paper counts it in its Table 2: float32 values, MB of 2^20 bytes."""

from __future__ import annotations

BYTES = 4
MEGABYTE = 2**20


def head_megabytes(parameters: int) -> float:
    """Of the trained numbers; of the raw baseline the backbones' are counted too."""
    return parameters * BYTES / MEGABYTE


def read_megabytes(rows: int, values: int, outputs: int) -> float:
    """Of what one training epoch reads: `values` inputs, and of the label a number for each output, a row.

    Inputs are the vectors of a row, or for the raw baseline the picture's pixels alone, 3 x 224 x 224.
    """
    return rows * (values + outputs) * BYTES / MEGABYTE
