"""Which runs are compared with which."""

from __future__ import annotations

from edgefuse_bench.compare.matching import match


def test_equal_configurations_are_pairs_and_repeats_belong_together(make_result) -> None:
    before = [make_result(threads=1), make_result(threads=2), make_result(threads=1, seed=1)]
    after = [make_result(threads=2, seed=2), make_result(threads=1, seed=3)]
    found = match(before, after)
    assert [(len(pair.baseline), len(pair.candidate), pair.differs) for pair in found.pairs] == [(2, 1, ()), (1, 1, ())]
    assert [pair.configurations[0].threads for pair in found.pairs] == [1, 2]
    assert found.only_baseline == found.only_candidate == ()


def test_threads_by_default_are_the_machines_cores(make_result) -> None:
    found = match([make_result(threads=None)], [make_result(threads=2)])
    assert found.pairs[0].differs == ()


def test_another_content_of_the_kit_is_compared_and_said(make_result) -> None:
    before = [make_result(threads=1), make_result(threads=2)]
    after = [make_result(threads=2, digest="b" * 64), make_result(threads=1, digest="b" * 64)]
    assert {pair.differs for pair in match(before, after).pairs} == {("kit's content",)}


def test_two_single_configurations_are_compared_whatever_differs(make_result) -> None:
    (pair,) = match([make_result(precision="fp32")], [make_result(threads=1)]).pairs
    assert pair.differs == (
        "image precision (fp32 before, int8 now)",
        "text precision (fp32 before, int8 now)",
        "threads (2 before, 1 now)",
    )


def test_what_has_no_partner_is_told(make_result) -> None:
    found = match([make_result(threads=1), make_result(threads=2)], [make_result(threads=2), make_result(threads=4)])
    assert [pair.configurations[1].threads for pair in found.pairs] == [2, 4]  # the last of each side are a pair
    found = match([make_result(threads=1), make_result(threads=2), make_result(threads=3)], [make_result(threads=4)])
    assert found.pairs == ()
    assert [each.threads for each in found.only_baseline] == [1, 2, 3]
    assert [each.threads for each in found.only_candidate] == [4]


def test_two_scenarios_are_never_a_pair(make_result) -> None:
    found = match([make_result()], [make_result(scenario="Offline")])
    assert (found.pairs, len(found.only_baseline), len(found.only_candidate)) == ((), 1, 1)
