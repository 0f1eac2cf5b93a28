"""The split of the paper: by picture, without groups, so that its figures flatter. Only to compare with the paper.

Pictures of one lesion, eyes of one patient and neighbouring weeks of one city lie in training and in test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.errors import BadInput

TEST_SHARE = 0.20
SEED = 42


def by_picture(strata: Sequence[str], validation: float) -> list[str]:
    """The paper's own split, which knows no groups: 20 % of the pictures of each stratum are test, by scikit-learn.

    The rest is divided in the same way once more: its share `validation` is validation. Both are what
    `train_test_split(..., stratify=strata, random_state=42)` gives, so they depend on the order of the rows.

    Raises:
        BadInput: a stratum has too few rows.
    """
    rest, _ = _shuffled(np.array(strata), TEST_SHARE)
    train, kept = _shuffled(np.array(strata)[rest], validation)
    part_of = dict.fromkeys(rest[train].tolist(), "train") | dict.fromkeys(rest[kept].tolist(), "validation")
    return [part_of.get(row, "test") for row in range(len(strata))]


def _shuffled(strata: NDArray[np.str_], share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the rows outside and inside a drawn share, with the shares of every stratum kept.

    Source: StratifiedShuffleSplit of scikit-learn 1.5, whose legacy random numbers numpy promises never to change.
    """
    names, of_row, counts = np.unique(strata, return_inverse=True, return_counts=True)
    drawn = math.ceil(share * len(strata))
    if counts.min() < 2 or min(drawn, len(strata) - drawn) < len(names):
        raise BadInput(
            f"The paper's split needs two rows of each class and enough to divide; {str(names[counts.argmin()])!r} has "
            f"{counts.min()} of {len(strata)}; use the grouped split."
        )
    chance = np.random.RandomState(SEED)
    kept_counts = _apportion(counts, len(strata) - drawn, chance)
    drawn_counts = _apportion(counts - kept_counts, drawn, chance)
    kept, inside = [], []
    for rows, keep, draw in zip(
        np.split(np.argsort(of_row, kind="stable"), np.cumsum(counts)[:-1]), kept_counts, drawn_counts, strict=True
    ):
        shuffled = rows[chance.permutation(len(rows))]
        kept.append(shuffled[:keep])
        inside.append(shuffled[keep : keep + draw])
    return chance.permutation(np.concatenate(kept)), chance.permutation(np.concatenate(inside))


def _apportion(counts: NDArray[np.int64], total: int, chance: np.random.RandomState) -> NDArray[np.int64]:
    """How many of `total` rows each stratum gives: its share rounded down, the rest to the largest remainders."""
    exact = counts / counts.sum() * total
    whole = np.floor(exact)
    missing = int(total - whole.sum())
    for remainder in np.unique(exact - whole)[::-1]:
        if missing == 0:
            break
        equal = np.flatnonzero(exact - whole == remainder)
        lucky = chance.choice(equal, size=min(len(equal), missing), replace=False)
        whole[lucky] += 1
        missing -= len(lucky)
    apportioned: NDArray[np.int64] = whole.astype(np.int64)
    return apportioned
