"""`edgefuse bench run`, on a whole small kit in real child processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from bench_runs import settings

from edgefuse.kits.kit import Kit
from edgefuse.kits.tuned import StageChoice, write_tuned
from edgefuse_bench import child, harness
from edgefuse_bench.result import STAGES, Query, Result
from edgefuse_bench.rows import WIDTH, page, stage_rows
from edgefuse_bench.settings import Settings
from edgefuse_runtimes.errors import BadInput, EdgefuseError


@pytest.fixture(scope="module")
def single(tiny_kit: Path) -> Result:
    return harness.run(tiny_kit, settings("single", queries=11, repeats=3, warmup=2))


@pytest.fixture(scope="module")
def offline(tiny_kit: Path) -> Result:
    return harness.run(tiny_kit, settings("offline", queries=6, repeats=3))


@pytest.fixture(scope="module")
def sustained(tiny_kit: Path) -> Result:
    return harness.run(tiny_kit, settings("sustained", seconds=1.5))


@pytest.fixture(scope="module")
def cold(tiny_kit: Path) -> Result:
    return harness.run(tiny_kit, settings("cold", queries=3))


@pytest.fixture(params=["single", "offline", "sustained", "cold"])
def result(request: pytest.FixtureRequest) -> Result:
    found: Result = request.getfixturevalue(request.param)
    return found


# Every scenario


def test_a_result_is_as_published(result: Result) -> None:
    schema = json.loads((Path(__file__).parents[2] / "docs/reference/bench-result.schema.json").read_bytes())

    jsonschema.Draft202012Validator(schema).validate(json.loads(json.dumps(result.to_json())))


def test_every_query_is_kept_in_nanoseconds(result: Result) -> None:
    for query in (result.first, *result.warmup, *result.queries):
        assert sum(query.stages_ns.values()) > 0
        assert set(STAGES) <= set(query.stages_ns)
        assert isinstance(query.total_ns, int)
        if result.scenario != "Offline":  # where pictures are decoded while others are encoded
            assert sum(query.stages_ns.values()) <= query.total_ns * 1.01
    starts = [query.start_ns for query in result.queries]
    assert starts == sorted(starts)
    assert starts[0] > result.first.start_ns >= 0


def test_a_result_says_what_it_was_measured_on(result: Result, tiny_kit: Path) -> None:
    assert result.kit["name"] == "tiny"
    assert result.kit["digest"] == json.loads((tiny_kit / "kit.json").read_bytes())["digest"]
    assert result.engines == {"image": "numpy", "text": "numpy"}
    assert result.precisions == {"image": "int8", "text": "q8_0"}
    assert result.samples == {"source": "golden", "drawn": True, "count": 8}
    assert result.files["image.onnx"] == (tiny_kit / "image.onnx").stat().st_size
    assert result.machine["cpu"]
    assert all("readings" in meter or "not_measurable" in meter for meter in result.meters)
    assert {"temperature", "clock", "throttling"} <= {meter["name"] for meter in result.meters}


def test_no_result_has_speed_without_accuracy(result: Result, tiny_kit: Path) -> None:
    golden = result.accuracy["golden"]
    assert (golden["n"], golden["labels_changed"]) == (8, 0)
    assert golden["worst_probability_shift"] < 0.001
    assert max(error["worst"] for error in golden["vector_error"].values()) < 1e-6
    recorded = Kit.open(tiny_kit).manifest["evaluation"]["metrics"]["fused"]["accuracy"]
    assert result.accuracy["kit"]["accuracy"] == recorded


def test_memory_is_that_of_the_processes(result: Result) -> None:
    memory = result.memory
    assert 0 < memory["anon_bytes"] <= memory["vm_hwm_bytes"] <= memory["peak_rss_bytes"] < 300 << 20
    assert 0 < memory["pss_bytes"] <= memory["anon_bytes"] + memory["file_bytes"]
    assert [one["name"] for one in memory["processes"]] == ["answering"]
    stages = ["start", "open", "decode", "load text", "tokenise", "text", "load image", "image", "head", "end"]
    assert list(memory["stages"]) == stages
    assert memory["stages"]["start"]["peak_rss_bytes"] < memory["stages"]["end"]["peak_rss_bytes"]
    for reading in memory["timeline"]:
        assert 0 < reading["anon_bytes"] + reading["file_bytes"] <= reading["rss_bytes"] <= memory["peak_rss_bytes"]
    assert memory["timeline"]


def test_the_page_fits_and_says_that_samples_are_drawn(result: Result) -> None:
    text = page(result)

    assert max(map(len, text.splitlines())) <= WIDTH
    for words in (
        *STAGES,
        "total",
        "min",
        "median",
        "max",
        "answers mean nothing",
        "MiB",
        "accuracy",
        "by stage",
        "not measurable",
    ):
        assert words in text
    assert result.scenario in text.splitlines()[0]


# Each scenario


def test_queries_are_shared_out_over_processes(single: Result) -> None:
    assert [query.process for query in single.queries] == [0] * 4 + [1] * 4 + [2] * 3
    assert len(single.warmup) == 2 * 3 + 2
    asked = sorted([single.first, *single.warmup, *single.queries], key=lambda query: query.start_ns)
    assert [query.sample for query in asked] == [number % 8 for number in range(3 * 3 + 11)]


def test_loading_is_in_first_answers_only(single: Result) -> None:
    assert single.open_ns > 0
    assert single.first.stages_ns["load"] > 0
    assert sum("load" in query.stages_ns for query in single.warmup) == 2
    assert all("load" not in query.stages_ns for query in single.queries)
    assert "in later processes" in page(single)


def test_the_interval_holds_the_median(single: Result) -> None:
    low, high = single.total_interval_ns
    assert low < stage_rows(single)["total"]["median"] < high
    assert single.throughput is None


def test_offline_is_one_batch_in_each_process(offline: Result) -> None:
    assert len(offline.queries) == 18
    rate = offline.throughput["samples_per_second"]
    assert rate == pytest.approx(18 / (sum(query.total_ns for query in offline.queries) / 1e9))
    low, high = offline.throughput["interval"]
    assert low < rate < high
    assert "samples a second" in page(offline)


def test_sustained_goes_on_for_so_long(sustained: Result) -> None:
    first, last = sustained.queries[0], sustained.queries[-1]
    assert 1.5e9 <= last.start_ns + last.total_ns - first.start_ns < 60e9
    over_time = sustained.throughput["over_time"]
    assert len(over_time) == min(12, len(sustained.queries))
    assert sustained.settings["seconds"] == 1.5


def test_cold_queries_have_a_process_each(cold: Result) -> None:
    assert [query.process for query in cold.queries] == [1, 2, 3]
    for query in cold.queries:
        assert query.stages_ns["start"] > 1e6
        assert query.stages_ns["load"] > 0
    assert cold.open_ns == 0
    assert any("dropped from the page cache" in note for note in cold.notes)
    assert "start" in stage_rows(cold)


def test_rows_come_from_the_queries(single: Result) -> None:
    queries = tuple(Query(0, total, dict.fromkeys(STAGES, 5) | {"text": total // 2}) for total in range(100, 228))

    rows = stage_rows(Result(**{**vars(single), "queries": queries}))

    assert rows["total"] == {"min": 100, "median": 164, "max": 227, "p90": 215}
    assert rows["image"] == {"min": 5, "median": 5, "max": 5, "p90": 5}
    assert list(rows) == [*STAGES, "total"]
    batch = stage_rows(Result(**{**vars(single), "queries": queries, "scenario": "Offline"}))
    assert batch["total"] == {"min": 100, "median": 164, "max": 227}


def test_the_precision_asked_for_is_measured(kit_of_both: Path) -> None:
    result = harness.run(kit_of_both, settings("single", queries=1, precision="fp32"))

    assert (result.settings["precision"], result.precisions["image"]) == ("fp32", "fp32")
    assert result.accuracy["golden"]["labels_changed"] == 0


def test_what_tune_chose_is_measured_where_no_option_says_otherwise(kit_of_both: Path, tmp_path: Path) -> None:
    kit = Kit.open(shutil.copytree(kit_of_both, tmp_path / "kit"))
    write_tuned(kit, {"image": StageChoice("numpy", 3, "fp32"), "text": StageChoice("numpy", 1, "q8_0")})

    result = harness.run(kit.folder, Settings(queries=1, repeats=1, warmup=0))

    assert (result.settings["threads"], result.settings["tuned"]) == (3, True)
    assert result.precisions == {"image": "fp32", "text": "q8_0"}
    assert result.accuracy["golden"]["labels_changed"] == 0
    assert result.accuracy["golden"]["vector_error"]["image"]["worst"] < 1e-6


def test_refusals_of_the_child_keep_their_class(tiny_kit: Path, tmp_path: Path) -> None:
    kit = tmp_path / "kit"
    shutil.copytree(tiny_kit, kit)
    data = bytearray((kit / "image.onnx").read_bytes())
    data[: len(data) // 2] = bytes(len(data) // 2)
    (kit / "image.onnx").write_bytes(data)

    with pytest.raises(BadInput, match=r"image\.onnx"):
        harness.run(kit, settings("single", queries=1))


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Ends every measuring process by a signal as soon as it is looked at."""

    def install(number: int) -> None:
        monkeypatch.setattr(child.Timeline, "read", lambda _, pid: os.kill(pid, number))

    return install


def test_a_child_that_is_killed_is_said_so(tiny_kit: Path, killed: Callable[[int], None]) -> None:
    killed(signal.SIGKILL)

    with pytest.raises(EdgefuseError, match="ended by SIGKILL"):
        harness.run(tiny_kit, settings("single", queries=1))


def test_files_beside_the_caller_are_not_imported(tiny_kit: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('imported from the working folder')")
    monkeypatch.chdir(tmp_path)

    assert harness.run(tiny_kit, settings("single", queries=1)).queries
