import random
from collections import Counter, defaultdict
from datetime import date, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgefuse.splits.grouped import FRACTIONS, PARTS, check_split, folds, in_time, split_rows, split_words
from edgefuse_runtimes.errors import BadInput

# Rows as (label, group) pairs: up to four classes, groups of chance sizes that may hold several classes.
ROWS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 40).map(str)), min_size=3, max_size=120)


def split(rows: list[tuple[str, str]], seed: int = 0) -> list[str]:
    try:
        return split_rows([label for label, _ in rows], [group for _, group in rows], seed)
    except BadInput:
        assume(False)
        raise


@given(ROWS, st.integers(0, 5))
def test_every_row_gets_a_part_and_no_group_two(rows: list[tuple[str, str]], seed: int) -> None:
    parts = split(rows, seed)
    assert len(parts) == len(rows)
    assert set(parts) == set(PARTS)
    of_group = defaultdict(set)
    for (_, group), part in zip(rows, parts, strict=True):
        of_group[group].add(part)
    assert all(len(found) == 1 for found in of_group.values())


@given(ROWS)
def test_a_class_with_three_groups_of_its_own_is_in_every_part(rows: list[tuple[str, str]]) -> None:
    parts = split(rows)
    classes_of = defaultdict(set)
    for label, group in rows:
        classes_of[group].add(label)
    own = Counter(next(iter(classes)) for classes in classes_of.values() if len(classes) == 1)
    for label in (label for label, groups in own.items() if groups >= 3):
        assert {part for (row, _), part in zip(rows, parts, strict=True) if row == label} == set(PARTS)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rows: list[tuple[str, str]], chance: random.Random) -> None:
    parts = dict(zip((group for _, group in rows), split(rows), strict=True))
    shuffled = rows.copy()
    chance.shuffle(shuffled)
    assert dict(zip((group for _, group in shuffled), split(shuffled), strict=True)) == parts


def test_parts_and_classes_have_their_shares() -> None:
    chance = random.Random(0)
    labels, groups = [], []
    for group in range(900):
        label = chance.choices("abc", (0.7, 0.25, 0.05))[0]
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            labels.append(label)
            groups.append(str(group))
    parts = split_rows(labels, groups, 0)
    for label in "abc":
        of_class = Counter(part for part, row in zip(parts, labels, strict=True) if row == label)
        for part, share in FRACTIONS.items():
            assert of_class[part] / of_class.total() == pytest.approx(share, abs=0.02)


def test_the_seed_changes_the_split_and_nothing_else_does() -> None:
    labels, groups = ["a", "b"] * 50, [str(row) for row in range(100)]
    assert split_rows(labels, groups, 0) == split_rows(labels, groups, 0)
    assert split_rows(labels, groups, 0) != split_rows(labels, groups, 1)


def test_too_few_groups_get_a_sentence() -> None:
    with pytest.raises(BadInput, match="No class has samples of three groups"):
        split_rows(["a"] * 5, ["1", "1", "1", "2", "2"], 0)


def test_a_given_split_is_checked() -> None:
    ids, groups = ["1", "2", "3"], ["g", "h", "i"]
    check_split(["train", "validation", "test"], groups, ids)
    with pytest.raises(BadInput, match="Sample 2 has the split 'dev'"):
        check_split(["train", "dev", "test"], groups, ids)
    with pytest.raises(BadInput, match="has no validation rows"):
        check_split(["train", "train", "test"], groups, ids)
    with pytest.raises(BadInput, match="the group 'g' in both train and test"):
        check_split(["train", "validation", "test"], ["g", "h", "g"], ids)


def test_every_class_of_a_multilabel_table_is_in_every_part() -> None:
    labels = ["itch|pain", "pain", "", "itch", "swelling|itch", "swelling"] * 10
    parts = split_rows(labels, [str(k) for k in range(60)], 0, multilabel=True)
    for name in ("itch", "pain", "swelling"):
        held = Counter(part for part, label in zip(parts, labels, strict=True) if name in label)
        assert held["test"] == pytest.approx(0.2 * held.total(), abs=2)
        assert held["validation"] == pytest.approx(0.16 * held.total(), abs=2)


def folded(rows: list[tuple[str, str]], count: int, seed: int = 0) -> list[list[str]]:
    try:
        return folds([label for label, _ in rows], [group for _, group in rows], count, seed)
    except BadInput:
        assume(False)
        raise


@given(ROWS, st.integers(2, 6), st.integers(0, 5))
def test_every_row_is_tested_in_one_fold_and_no_group_gets_two_parts_in_a_fold(
    rows: list[tuple[str, str]], count: int, seed: int
) -> None:
    found = folded(rows, count, seed)
    assert len(found) == count
    for parts in found:
        assert set(parts) == set(PARTS)
        assert len({(group, part) for (_, group), part in zip(rows, parts, strict=True)}) == len({g for _, g in rows})
    assert all(parts.count("test") == 1 for parts in zip(*found, strict=True))


@given(ROWS, st.integers(2, 6))
def test_a_class_with_a_group_of_its_own_for_each_fold_is_tested_in_every_fold(
    rows: list[tuple[str, str]], count: int
) -> None:
    found = folded(rows, count)
    classes_of = defaultdict(set)
    for label, group in rows:
        classes_of[group].add(label)
    own = Counter(next(iter(classes)) for classes in classes_of.values() if len(classes) == 1)
    for label in (label for label, groups in own.items() if groups >= count):
        for parts in found:
            assert "test" in {part for (row, _), part in zip(rows, parts, strict=True) if row == label}


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter_to_folds(rows: list[tuple[str, str]], chance: random.Random) -> None:
    shuffled = rows.copy()
    chance.shuffle(shuffled)
    for parts, again in zip(folded(rows, 3), folded(shuffled, 3), strict=True):
        part_of = {group: part for (_, group), part in zip(rows, parts, strict=True)}
        assert [part_of[group] for _, group in shuffled] == again


def test_folds_keep_the_shares_of_classes_and_parts() -> None:
    labels = ["a"] * 700 + ["b"] * 250 + ["c"] * 50
    for parts in folds(labels, [str(row) for row in range(1000)], 5, 0):
        for label in "abc":
            of_class = Counter(part for part, row in zip(parts, labels, strict=True) if row == label)
            assert of_class["test"] == pytest.approx(0.2 * of_class.total(), abs=1)
            assert of_class["validation"] == pytest.approx(0.16 * of_class.total(), abs=1)


def test_folds_are_the_same_on_every_machine() -> None:
    rows = range(12)
    found = folds(["ab"[row % 2] for row in rows], [str(row // 2) for row in rows], 3, 0)
    assert ["".join(part[1] for part in parts) for parts in found] == ["rraaeeeerrrr", "eeaarrrrrree", "rreerrrreeaa"]
    assert folds(["ab"[row % 2] for row in rows], [str(row // 2) for row in rows], 3, 1) != found


def test_folds_of_a_multilabel_table_hold_every_class() -> None:
    labels = ["itch|pain", "pain", "", "itch", "swelling|itch", "swelling"] * 10
    for parts in folds(labels, [str(k) for k in range(60)], 5, 0, multilabel=True):
        for name in ("itch", "pain", "swelling"):
            held = Counter(part for part, label in zip(parts, labels, strict=True) if name in label)
            assert held["test"] == pytest.approx(0.2 * held.total(), abs=2)
            assert held["validation"] == pytest.approx(0.16 * held.total(), abs=2)


def test_folds_that_cannot_be_get_a_sentence() -> None:
    with pytest.raises(BadInput, match="Folds are two or more, not 1"):
        folds(["a", "b", "c"], ["1", "2", "3"], 1, 0)
    with pytest.raises(BadInput, match="too few groups for 5 folds"):
        folds(["a"] * 8, ["1", "2", "3", "4"] * 2, 5, 0)


def test_a_split_in_time_trains_on_the_oldest_and_tests_on_the_newest() -> None:
    weeks = [str(date(2016, 1, 3) + timedelta(weeks=week)) for week in range(156)]
    dates = weeks * 10
    parts, blocks = in_time(dates)
    first, last = ({part: pick(day for day, p in zip(dates, parts, strict=True) if p == part) for part in PARTS}
                   for pick in (min, max))  # fmt: skip
    assert first["train"] == weeks[0]
    assert last["train"] < first["validation"] <= last["validation"] < first["test"]
    assert last["test"] == weeks[-1]
    for part, share in FRACTIONS.items():
        assert parts.count(part) / len(parts) == pytest.approx(share, abs=0.02)
    assert len(set(blocks)) == 39
    assert len(set(zip(blocks, parts, strict=True))) == 39


def test_a_split_in_time_needs_dates_and_enough_of_them() -> None:
    with pytest.raises(BadInput, match="a date as YYYY-MM-DD for every row"):
        in_time(["2016-01-03", ""])
    with pytest.raises(BadInput, match="span 1 times 28 days, too few"):
        in_time(["2016-01-03", "2016-01-10", "2016-01-17"])


def test_a_split_is_told_in_words() -> None:
    assert split_words({}, 3) == "split seed 3"
    assert split_words({}, None) == "its own split"
    assert split_words({"split": "paper"}, None) == "the paper's split by picture"
    assert split_words({"split": "time"}, None) == "split in time"
