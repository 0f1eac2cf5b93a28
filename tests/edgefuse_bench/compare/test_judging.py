"""What a pair of results says, and when a check fails of it."""

from __future__ import annotations

import pytest

from edgefuse_bench.compare.guard import exceeded
from edgefuse_bench.compare.judging import judge
from edgefuse_bench.compare.matching import Pair
from edgefuse_bench.compare.page import page, sentence
from edgefuse_bench.configuration import configuration
from edgefuse_runtimes.errors import BadInput


@pytest.fixture
def compared():
    def compare(before, after):
        sides = [tuple(side) if isinstance(side, list) else (side,) for side in (before, after)]
        return judge(Pair(*sides, (configuration(sides[0][0]), configuration(sides[1][0]))))

    return compare


@pytest.mark.parametrize(
    ("milliseconds", "verdict"), [(100, "no difference shown"), (115, "slower"), (87, "faster"), (103, "slower")]
)
def test_the_verdict_is_what_the_whole_interval_says(compared, make_result, milliseconds, verdict) -> None:
    found = compared(make_result(noise=0.001, seed=2), make_result(median_ms=milliseconds, noise=0.001, seed=3))
    assert found.row("total").verdict == verdict
    assert found.row("total").ratio.value == pytest.approx(milliseconds / 100, rel=0.01)
    assert [row.name for row in found.rows] == [
        "total", "decode", "image", "tokenise", "text", "head", "first answer", "peak memory",
    ]  # fmt: skip


def test_a_process_that_is_slower_by_chance_is_no_verdict_where_runs_are_repeated(compared, make_result) -> None:
    before = [make_result(median_ms=value, noise=0.001) for value in (100, 112, 104)]
    after = [make_result(median_ms=value, noise=0.001) for value in (108, 101, 115)]
    found = compared(before, after)
    assert found.row("total").verdict == "no difference shown"
    assert found.row("peak memory").verdict == "no difference shown"
    assert compared(before[0], after[0]).row("image").verdict == "slower"


def test_throughput_is_better_when_it_is_more(compared, make_result) -> None:
    before, after = (
        make_result(scenario="Offline", processes=4, median_ms=1000 / rate, throughput={"samples_per_second": rate})
        for rate in (10, 8)
    )
    found = compared(before, after)
    assert found.headline.ratio.candidate == pytest.approx(8, rel=0.01)
    assert found.headline.name == "throughput"
    assert found.headline.verdict == "slower"
    assert list(exceeded([found], max_slowdown=0.3, max_growth=None)) == []
    (broken,) = exceeded([found], max_slowdown=0.1, max_growth=None)
    assert broken == f"{found.configurations[1]}: 1.22 to 1.28 times the baseline's time, where 1.10 is allowed"


def test_a_guard_breaks_only_where_the_whole_interval_is_beyond(compared, make_result) -> None:
    found = compared(make_result(processes=4), make_result(median_ms=120, seed=1, processes=4))
    low, _ = found.headline.ratio.interval
    assert list(exceeded([found], max_slowdown=low - 1 + 1e-6, max_growth=None)) == []
    assert len(list(exceeded([found], max_slowdown=low - 1 - 1e-6, max_growth=None))) == 1


def test_growth_is_judged_by_the_peak(compared, make_result) -> None:
    found = compared(make_result(), make_result(peak_mib=360))
    assert list(exceeded([found], max_slowdown=None, max_growth=0.25)) == []
    assert list(exceeded([found], max_slowdown=None, max_growth=0.1)) == [
        f"{found.configurations[1]}: 1.20 times the memory, where 1.10 is allowed"
    ]


def test_no_times_of_an_emulator_are_compared(compared, make_result) -> None:
    found = compared(make_result(emulated=True), make_result(median_ms=900))
    assert [row.name for row in found.rows] == ["peak memory"]
    assert any("emulated" in remark for remark in found.remarks)
    assert sentence(found, "b.json") == "b.json: no times to compare"
    with pytest.raises(BadInput, match="emulated times say nothing"):
        list(exceeded([found], max_slowdown=0.1, max_growth=None))


def test_two_machines_are_said_and_guard_nothing(compared, make_result) -> None:
    found = compared(make_result(), make_result(machine={"cpu": "Another CPU"}))
    assert "two machines are compared, not two versions: Synthetic CPU, 2 cores, 8.0 GiB before, Another CPU" in str(
        found.remarks
    )
    with pytest.raises(BadInput, match="of different machines"):
        list(exceeded([found], max_slowdown=0.1, max_growth=None))
    assert list(exceeded([found], max_slowdown=None, max_growth=0.1)) == []


def test_a_few_megabytes_that_the_kernel_took_make_no_other_machine(compared, make_result) -> None:
    assert compared(make_result(), make_result(machine={"ram_bytes": (8 << 30) - (5 << 20)})).same_machine
    assert not compared(make_result(), make_result(machine={"cgroup_limit_bytes": 512 << 20})).same_machine


def test_what_changed_on_the_machine_is_said(compared, make_result) -> None:
    newer = {"libraries": {"edgefuse": "0.2.0", "numpy": "2.0.0"}, "settings": {"OMP_NUM_THREADS": "1"}}
    found = compared(make_result(), make_result(machine=newer))
    assert "changed on the machine: edgefuse 0.1.0 -> 0.2.0, OMP_NUM_THREADS none -> 1" in found.remarks


def test_one_process_guards_nothing(compared, make_result) -> None:
    found = compared(make_result(processes=3), make_result(median_ms=300))
    assert found.headline.verdict == "slower"
    with pytest.raises(BadInput, match="measure each side in three processes or more"):
        list(exceeded([found], max_slowdown=0.1, max_growth=None))


def test_each_cold_start_is_a_process(compared, make_result) -> None:
    cold = {"scenario": "Cold", "processes": 8, "queries": 8}
    found = compared(make_result(**cold), make_result(median_ms=300, **cold))
    assert len(list(exceeded([found], max_slowdown=0.1, max_growth=None))) == 1
    assert found.row("first answer") is None


def test_too_few_queries_give_no_verdict(compared, make_result) -> None:
    assert compared(make_result(queries=5), make_result(queries=5, median_ms=300)).headline.verdict == ""


def test_what_an_older_edgefuse_counted_otherwise_is_left_out(compared, make_result) -> None:
    found = compared(make_result(schema=1), make_result())
    assert found.row("total")
    assert found.row("image") is None
    assert found.row("peak memory") is None
    assert any("older edgefuse" in remark for remark in found.remarks)
    with pytest.raises(BadInput, match="counted memory otherwise"):
        list(exceeded([found], max_slowdown=None, max_growth=0.1))


def test_the_page_is_narrow_and_ends_in_the_verdict(compared, make_result) -> None:
    lines = list(
        page(compared(make_result(), make_result(median_ms=130)), ("a-baseline-of-a-long-name.json", "b.json"))
    )
    assert max(map(len, lines)) <= 100
    assert lines[-1].startswith("b.json: slower in the one process of each, 1.30 times the baseline's time (")
    (total,) = [line for line in lines if line.startswith("total")]
    assert total.split()[1:5] == ["100.19", "ms", "130.24", "ms"]


def test_accuracy_stands_beside_the_times(compared, make_result) -> None:
    kit = {"n": 349, "accuracy": 0.622, "macro_f1": 0.5}
    golden = {"n": 8, "labels_changed": 1}
    found = compared(make_result(accuracy={"kit": kit}), make_result(accuracy={"kit": kit, "golden": golden}))
    assert found.accuracy == (
        ("golden labels", "-", "7 of 8 kept"),
        ("kit's accuracy", ".622 of 349", ".622 of 349"),
    )
    assert "kit's accuracy      .622 of 349      .622 of 349" in page(found, ("a", "b"))
    assert compared(make_result(), make_result()).accuracy == ()
    drawn = make_result(accuracy={"kit": kit | {"drawn": True}})
    assert compared(drawn, drawn).accuracy == (("kit's accuracy", "drawn", "drawn"),)


def test_different_samples_are_said(compared, make_result) -> None:
    own = {"source": "folder", "drawn": False, "count": 30}
    assert (
        "they answered different samples, which may take different time"
        in compared(make_result(), make_result(samples=own)).remarks
    )
