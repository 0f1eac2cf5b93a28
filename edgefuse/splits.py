"""Dividing rows into training, validation and test parts, so that no group lies in two of them.

Groups are taken from the largest to the smallest, those of one size in an order that only the seed and the
group's name decide. Each goes to the part that is least full of its labels: a part's fill for a class is the
share it holds of the rows it should hold in the end. Of equals, the first of `PARTS` is taken. This is the
iterative stratification of Sechidis, Tsoumakas and Vlahavas (2011), with whole groups in place of rows and
relative in place of absolute need: a class with three groups of its own, or more, is found in every part.

The order of the rows does not matter, and no random generator is used that may change between versions.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from edgefuse.labels import names_of
from edgefuse_runtimes.errors import BadInput

FRACTIONS = {"train": 0.64, "test": 0.20, "validation": 0.16}
PARTS = tuple(FRACTIONS)


def split_rows(labels: Sequence[str], groups: Sequence[str], seed: int, *, multilabel: bool = False) -> list[str]:
    """The part of every row, one of `PARTS`; about 64 % of each class are train, 20 % test, 16 % validation.

    With `multilabel` a row counts for each of the classes that its label joins; rows of no class count as one more.

    Raises:
        BadInput: the groups are too few for a group in every part.
    """
    members: dict[str, Counter[str]] = defaultdict(Counter)
    for label, group in zip(labels, groups, strict=True):
        members[group].update(names_of(label, multilabel=multilabel) or ("",))
    totals = Counter[str]()
    for counts in members.values():
        totals.update(counts)
    held = {part: Counter[str]() for part in PARTS}
    parts: dict[str, str] = {}
    for group in sorted(members, key=lambda name: (-members[name].total(), _lot(seed, name))):
        counts = members[group]
        part = min(PARTS, key=lambda part: _fill(held[part], counts, totals) / FRACTIONS[part])
        held[part].update(counts)
        parts[group] = part
    if len(set(parts.values())) < len(PARTS):
        raise BadInput(
            "No class has samples of three groups, one for each part of a split; add samples or use finer groups."
        )
    return [parts[group] for group in groups]


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


def _fill(held: Counter[str], wanted: Counter[str], totals: Counter[str]) -> float:
    return sum(wanted[label] / totals[label] * held[label] / totals[label] for label in sorted(wanted))


def _lot(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{name}".encode()).digest()
