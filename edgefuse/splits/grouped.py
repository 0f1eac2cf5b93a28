"""Dividing rows into training, validation and test parts, once or in folds, so that no group lies in two of them.

Groups are taken from the largest to the smallest, those of one size in an order that only the seed and the
group's name decide. Each goes to the part that is least full of its labels: a part's fill for a class is the
share it holds of the rows it should hold in the end. Of equals, the first part is taken. This is the
iterative stratification of Sechidis, Tsoumakas and Vlahavas (2011), with whole groups in place of rows and
relative in place of absolute need: a class with as many groups of its own as there are parts is found in every part.

The order of the rows does not matter, and no random generator is used that may change between versions.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, TypeVar

from edgefuse.labels import names_of
from edgefuse_runtimes.errors import BadInput

FRACTIONS = {"train": 0.64, "test": 0.20, "validation": 0.16}
PARTS = tuple(FRACTIONS)
REST_FRACTIONS = {"train": 0.80, "validation": 0.20}
"""Of the rows that a fold does not test."""

BLOCK_DAYS = 28
"""Of a split in time: neighbouring weeks are nearly equal, so that whole blocks of them stay together."""

Part = TypeVar("Part")


def split_rows(labels: Sequence[str], groups: Sequence[str], seed: int, *, multilabel: bool = False) -> list[str]:
    """The part of every row, one of `PARTS`; about 64 % of each class are train, 20 % test, 16 % validation.

    With `multilabel` a row counts for each of the classes that its label joins; rows of no class count as one more.

    Raises:
        BadInput: the groups are too few for a group in every part.
    """
    members = _members(labels, groups, multilabel)
    parts = _deal(members, FRACTIONS, seed)
    if len(set(parts.values())) < len(PARTS):
        raise BadInput(
            "No class has samples of three groups, one for each part of a split; add samples or use finer groups."
        )
    return [parts[group] for group in groups]


def folds(
    labels: Sequence[str], groups: Sequence[str], count: int, seed: int, *, multilabel: bool = False
) -> list[list[str]]:
    """For each of `count` folds the part of every row: each row is test in one fold, each group in one part of a fold.

    The folds' test parts hold about the same share of each class. Of the other rows of a fold about 20 % of each
    class are validation, the rest train.

    Raises:
        BadInput: fewer than two folds, or the groups are too few for a group in every part of every fold.
    """
    if count < 2:
        raise BadInput(f"Folds are two or more, not {count}; ask for 5, for example.")
    members = _members(labels, groups, multilabel)
    fold_of = _deal(members, dict.fromkeys(range(count), 1 / count), seed)
    found = []
    for fold in range(count):
        rest = {group: counts for group, counts in members.items() if fold_of[group] != fold}
        parts = dict.fromkeys(members, "test") | _deal(rest, REST_FRACTIONS, seed)
        if len(set(parts.values())) < len(PARTS):
            raise BadInput(
                f"The samples have too few groups for {count} folds, which each need a training, a validation and a "
                "test group; ask for fewer folds, add samples or use finer groups."
            )
        found.append([parts[group] for group in groups])
    return found


def in_time(dates: Sequence[str]) -> tuple[list[str], list[str]]:
    """The part of every row by its date, the oldest train and the newest test, and its block of `BLOCK_DAYS` days.

    About 64 %, 16 % and 20 % of the rows; a block lies in one part, so that a bootstrap may draw whole blocks.

    Raises:
        BadInput: a date is no YYYY-MM-DD, or the dates span too few blocks.
    """
    try:
        days = [date.fromisoformat(day) for day in dates]
    except ValueError as error:
        raise BadInput(f"A split in time needs a date as YYYY-MM-DD for every row ({error}); add them.") from error
    blocks = [min(days) + timedelta((day - min(days)).days // BLOCK_DAYS * BLOCK_DAYS) for day in days]
    rows, part_of, before = Counter(blocks), {}, 0
    for block in sorted(rows):
        middle = (before + rows[block] / 2) / len(days)
        part_of[block] = (
            "train" if middle < FRACTIONS["train"] else "validation" if middle < 1 - FRACTIONS["test"] else "test"
        )
        before += rows[block]
    if len(set(part_of.values())) < len(PARTS):
        raise BadInput(
            f"The dates span {len(rows)} times {BLOCK_DAYS} days, too few for a training, a validation and a test "
            "part; take another split, or more dates."
        )
    return [part_of[block] for block in blocks], [f"{BLOCK_DAYS} days from {block}" for block in blocks]


def with_validation(
    parts: Sequence[str], labels: Sequence[str], groups: Sequence[str], seed: int, *, multilabel: bool = False
) -> list[str]:
    """A split into training and test rows alone, as papers publish it, with validation rows out of the training ones.

    About 20 % of each class of the training rows become validation, whole groups of them.

    Raises:
        BadInput: the training rows are too few groups for both.
    """
    training = [k for k, part in enumerate(parts) if part == "train"]
    members = _members([labels[k] for k in training], [groups[k] for k in training], multilabel)
    dealt = _deal(members, REST_FRACTIONS, seed)
    if len(set(dealt.values())) < len(REST_FRACTIONS):
        raise BadInput(
            "The given split has no validation rows, and its training rows have no class of two groups to take them "
            "from; add samples or use finer groups."
        )
    return [dealt[group] if part == "train" else part for part, group in zip(parts, groups, strict=True)]


def check_split(parts: Sequence[str], groups: Sequence[str], ids: Sequence[str]) -> None:
    """Accept a split that a data set brings along.

    Raises:
        BadInput: a row has no known part, a part has no rows, or a group lies in two parts.
    """
    for part, name in zip(parts, ids, strict=True):
        if part not in PARTS:
            raise BadInput(f"Sample {name} has the split {part!r}; every row's must be train, validation or test.")
    for part in PARTS:
        if part not in parts:
            raise BadInput(f"The given split has no {part} rows; add some, or remove the column split.")
    first: dict[str, str] = {}
    for part, group in zip(parts, groups, strict=True):
        if first.setdefault(group, part) != part:
            raise BadInput(
                f"The given split has the group {group!r} in both {first[group]} and {part}; keep a group in one part."
            )


def split_words(dataset: Mapping[str, Any], seed: int | None) -> str:
    """How a table was divided, from what its `dataset` and `split_seed` record."""
    named = {"paper": "the paper's split by picture", "time": "split in time"}.get(dataset.get("split", ""))
    return named or ("its own split" if seed is None else f"split seed {seed}")


def _members(labels: Sequence[str], groups: Sequence[str], multilabel: bool) -> dict[str, Counter[str]]:
    """How many rows of each class every group has."""
    members: dict[str, Counter[str]] = defaultdict(Counter)
    for label, group in zip(labels, groups, strict=True):
        members[group].update(names_of(label, multilabel=multilabel) or ("",))
    return members


def _deal(members: Mapping[str, Counter[str]], shares: Mapping[Part, float], seed: int) -> dict[str, Part]:
    """The part of each group, so that every part holds about its share of every class."""
    totals = Counter[str]()
    for counts in members.values():
        totals.update(counts)
    held = {part: Counter[str]() for part in shares}
    parts: dict[str, Part] = {}
    for group in sorted(members, key=lambda name: (-members[name].total(), lot(seed, name))):
        counts = members[group]
        part = min(shares, key=lambda part: _fill(held[part], counts, totals) / shares[part])
        held[part].update(counts)
        parts[group] = part
    return parts


def _fill(held: Counter[str], wanted: Counter[str], totals: Counter[str]) -> float:
    return sum(wanted[label] / totals[label] * held[label] / totals[label] for label in sorted(wanted))


def lot(seed: int, name: str) -> bytes:
    """What groups are sorted by, to be in an order that only the seed and their names decide."""
    return hashlib.blake2b(f"{seed}:{name}".encode()).digest()
