"""Percentiles by rank, and never from too few queries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse.percentiles import percentile, percentiles, queries_needed


@pytest.mark.parametrize(("fraction", "queries"), [(0.9, 64), (0.95, 130), (0.99, 662)])
def test_the_least_numbers_are_loadgens(fraction, queries) -> None:
    assert queries_needed(fraction) == queries


@pytest.mark.parametrize(
    ("queries", "names"),
    [
        (63, []),
        (64, ["p90"]),
        (129, ["p90"]),
        (130, ["p90", "p95"]),
        (661, ["p90", "p95"]),
        (662, ["p90", "p95", "p99"]),
    ],
)
def test_a_percentile_is_named_only_when_queries_suffice(queries, names) -> None:
    assert list(percentiles(range(queries))) == names


def test_ranks_count_from_zero_and_order_does_not_matter() -> None:
    values = list(range(1, 101))[::-1]

    assert [percentile(values, fraction) for fraction in (0.0, 0.5, 0.9, 0.99)] == [1, 51, 91, 100]


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=200), st.sampled_from([0.0, 0.5, 0.9, 0.95, 0.99]))
def test_a_percentile_is_one_of_the_values_beside_numpys(values, fraction) -> None:
    ours = percentile(values, fraction)

    assert ours in values
    assert ours >= np.percentile(values, fraction * 100, method="inverted_cdf")
    assert sum(value < ours for value in values) <= len(values) * fraction
