"""Figures over two sets of vectors, checked against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgefuse_export.parity import compare as parity

neighbors = pytest.importorskip("sklearn.neighbors", reason="scikit-learn is not installed (extra dev)")
pairwise = pytest.importorskip("sklearn.metrics.pairwise")


def two_sets(count: int, noise: float, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    dice = np.random.default_rng(count)
    source = dice.normal(offset, 1, (count, 16)).astype(np.float32)
    return source, source + dice.normal(0, noise, source.shape).astype(np.float32)


def test_distances_are_those_of_scikit_learn() -> None:
    a, b = two_sets(50, 0.3)
    a, b = a.astype(np.float64), b.astype(np.float64)
    np.testing.assert_allclose(parity.one_minus_cosine(a, b), pairwise.paired_cosine_distances(a, b), atol=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [([1, 0], [0, 2], 1), ([1, 1], [-3, -3], 2), ([0, 0], [1, 1], 1), ([0, 0], [0, 0], 0), ([3, 4], [6, 8], 0)],
)
def test_distances_of_simple_vectors(a: list[float], b: list[float], expected: float) -> None:
    assert parity.one_minus_cosine(np.array([a], float), np.array([b], float))[0] == pytest.approx(expected)


def test_equal_vectors_have_no_distance_and_keep_all_neighbours() -> None:
    source, _ = two_sets(40, 0)
    found = parity.compare([str(k) for k in range(40)], source, source)
    assert found["plain"]["worst"] == pytest.approx(0, abs=1e-12)
    assert found["centred"]["worst"] == pytest.approx(0, abs=1e-12)
    assert found["neighbours"] == {key: {"mean": 1.0, "standard_error": 0.0} for key in ("top_1", "top_10")}


def test_what_all_vectors_share_hides_errors_until_it_is_subtracted() -> None:
    source, exported = two_sets(200, 0.3, offset=100)  # like random weights: nearly one direction
    found = parity.compare([str(k) for k in range(200)], source, exported)
    assert found["mean_length"] > 0.99
    assert found["plain"]["mean"] < 1e-4
    assert found["centred"]["mean"] > 1e-2


def test_the_spread_is_that_of_the_values() -> None:
    values = np.random.default_rng(0).gamma(2, 1e-4, 130)
    found = parity.distribution(values)
    assert list(found) == ["mean", "standard_error", "median", "p90", "p95", "worst"]
    assert found["mean"] == pytest.approx(values.mean())
    assert found["standard_error"] == pytest.approx(np.std(values, ddof=1) / math.sqrt(130))
    assert (values > found["p90"]).mean() < 0.1 <= (values >= found["p90"]).mean()


@pytest.mark.parametrize(("count", "named"), [(63, set()), (64, {"p90"}), (129, {"p90"}), (130, {"p90", "p95"})])
def test_no_percentile_is_named_from_too_few_samples(count: int, named: set[str]) -> None:
    found = parity.compare([str(k) for k in range(count)], *two_sets(count, 0.1))
    for measure in ("plain", "centred"):
        assert {name for name in found[measure] if name.startswith("p")} == named


@pytest.mark.parametrize("k", [1, 10])
def test_neighbours_are_those_of_scikit_learn(k: int) -> None:
    source, exported = two_sets(60, 0.5)
    expected = []
    for rows in (source, exported):
        model = neighbors.NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(rows)
        expected.append(model.kneighbors(return_distance=False))
    np.testing.assert_array_equal(parity.nearest(source.astype(np.float64), k), expected[0])
    shared = [len(np.intersect1d(a, b)) / k for a, b in zip(*expected, strict=True)]
    found = parity.neighbour_agreement(source.astype(np.float64), exported.astype(np.float64), k)
    assert found is not None
    assert 0 < found["mean"] < 1
    assert found["mean"] == pytest.approx(np.mean(shared))
    assert found["standard_error"] == pytest.approx(np.std(shared, ddof=1) / math.sqrt(60))


def test_too_few_samples_have_no_neighbours() -> None:
    found = parity.compare([str(k) for k in range(20)], *two_sets(20, 0.1))
    assert found["neighbours"]["top_1"] is not None
    assert found["neighbours"]["top_10"] is None  # ten of nineteen others would be shared by chance


def test_a_single_sample_is_no_reason_to_fail() -> None:
    found = parity.compare(["only"], *two_sets(1, 0.1))
    assert (found["count"], found["plain"]["standard_error"]) == (1, 0.0)
    assert found["neighbours"] == {"top_1": None, "top_10": None}


def test_the_worst_are_named_by_their_centred_distance() -> None:
    source, exported = two_sets(30, 0.01)
    exported[7] = -source[7]
    found = parity.compare([f"sample {k}" for k in range(30)], source, exported)
    assert len(found["worst"]) == 10
    assert found["worst"][0]["id"] == "sample 7"
    assert found["worst"][0]["plain"] == pytest.approx(2)
    assert found["worst"][0]["centred"] == found["centred"]["worst"]
    distances = [item["centred"] for item in found["worst"]]
    assert distances == sorted(distances, reverse=True)


@pytest.mark.parametrize("noise", [0.0, 1e-6, 0.1, 10.0])
def test_every_sample_is_in_the_histogram(noise: float) -> None:
    histogram = parity.compare([str(k) for k in range(25)], *two_sets(25, noise))["histogram"]
    edges = np.array(histogram["edges"])
    np.testing.assert_allclose(edges[1:] / edges[:-1], 10**0.25)
    for measure in ("plain", "centred"):
        assert len(histogram[measure]) == len(edges) - 1
        assert sum(histogram[measure]) == 25
