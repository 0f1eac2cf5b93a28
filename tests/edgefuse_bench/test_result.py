"""The JSON file of a result: what was written is read again, also as it was written before."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse_bench.result import STAGES, Query, Result, as_json, read_results, write_results
from edgefuse_runtimes.errors import BadInput

FIXTURES = Path(__file__).parent / "fixtures"
PUBLISHED = json.loads(
    (Path(__file__).parents[2] / "docs" / "reference" / "bench-result.schema.json").read_text(encoding="utf-8")
)

STAGES_NS = dict.fromkeys(STAGES, 10)
RESULT = Result(
    scenario="SingleStream",
    started="2026-01-02T03:04:05+00:00",
    kit={"name": "tiny", "version": "1", "digest": "0" * 64},
    settings={"engine": "numpy", "precision": None, "threads": 1, "queries": 2, "warmup": 1, "repeats": 1},
    engines={"image": "numpy", "text": "numpy"},
    precisions={"image": "int8", "text": "q8_0"},
    samples={"source": "golden", "drawn": True, "count": 8},
    open_ns=7,
    first=Query(0, 100, {"load": 40, **STAGES_NS}, start_ns=5),
    warmup=(Query(1, 60, STAGES_NS, start_ns=110),),
    queries=(Query(2, 55, STAGES_NS, start_ns=180), Query(3, 56, STAGES_NS, start_ns=240)),
    memory={"peak_rss_bytes": 3, "vm_hwm_bytes": 2, "anon_bytes": 1, "file_bytes": 1},
    machine={"cpu": "a processor", "physical_cores": 1},
    edgefuse="0.1.0",
    total_interval_ns=(50.0, 61.0),
    files={"image.onnx": 100},
    meters=({"name": "temperature", "not_measurable": "There is no sensor."},),
    accuracy={"golden": {"n": 8}},
    notes=("A sentence.",),
    others_cores=0.25,
)


def check(data: Any) -> None:
    jsonschema.Draft202012Validator(PUBLISHED).validate(data)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("source", ["golden", "evaluation", "folder"])
def test_what_was_written_is_read_again_and_is_as_published(tmp_path: Path, count: int, source: str) -> None:
    samples = {"source": source, "drawn": source == "golden", "count": 8}
    results = [dataclasses.replace(RESULT, open_ns=number, samples=samples) for number in range(count)]

    write_results(tmp_path / "r.json", results)

    assert read_results(tmp_path / "r.json") == results
    check(json.loads((tmp_path / "r.json").read_bytes()))


@pytest.mark.parametrize(
    ("asked", "limit", "threads"), [(3, 1.0, 3), (None, None, 4), (None, 2.5, 2), (None, 0.5, 1), (None, 16.0, 4)]
)
def test_threads_are_those_asked_for_or_the_cores_that_a_control_group_leaves(
    asked: int | None, limit: float | None, threads: int
) -> None:
    machine = {"physical_cores": 4, "cgroup_cores": limit}
    assert dataclasses.replace(RESULT, settings={"threads": asked}, machine=machine).threads == threads


def test_a_file_of_schema_1_still_reads() -> None:
    """Written by `edgefuse bench run --samples 3 --json` before there was another schema."""
    (found,) = read_results(FIXTURES / "bench-schema-1.json")

    assert (found.schema, found.scenario, len(found.warmup), len(found.queries)) == (1, "SingleStream", 2, 3)
    assert found.kit["name"] == "ham-mini"
    assert found.samples == {"source": "golden", "drawn": True, "count": 8}
    assert found.stages == ("image", "text", "head")
    assert found.first.stages_ns["load"] == 3785655600
    assert [query.total_ns for query in found.queries] == [288894443, 224467974, 216004385]
    assert found.queries[0].start_ns is None
    assert found.memory["peak_rss_bytes"] == 223051776
    assert found.edgefuse == "0.1.0"
    assert (found.total_interval_ns, found.throughput, found.meters, found.accuracy) == (None, None, (), {})


def test_the_published_schema_refuses_what_is_no_result() -> None:
    for name in ("scenario", "queries", "kit", "memory"):
        lacking = RESULT.to_json()
        del lacking[name]
        with pytest.raises(jsonschema.ValidationError):
            check(lacking)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kind": "something"}, "does not say that it is one"),
        ({"schema": None}, "names no schema"),
        ({"schema": 3}, "reads up to 2; upgrade edgefuse"),
        ({"scenario": "Server"}, "its scenario is 'Server'"),
        ({"queries": []}, "it has no queries"),
        ({"queries": [{"sample": 0}]}, "it lacks 'stages_ns'"),
        ({"open_ns": -1}, "-1 is no number of nanoseconds"),
        ({"machine": []}, "'machine' is no object"),
        ({"memory": {}}, "it lacks 'peak_rss_bytes'"),
        ({"memory": {"peak_rss_bytes": "much"}}, "'memory.peak_rss_bytes' is much"),
        ({"throughput": {"samples_per_second": 0}}, "'throughput.samples_per_second' is 0"),
        ({"throughput": {"samples_per_second": 3, "interval": ["a", "b"]}}, "'throughput.interval' is a"),
        ({"total_interval_ns": [1, 0]}, "'total_interval_ns' is 0"),
        ({"meters": [{"name": "clock", "readings": [{"t_ns": 1, "value": None}]}]}, "'clock: value' is None"),
        ({"meters": [{"name": "a", "unit": "W", "readings": [{"t_ns": 1, "value": "x"}]}]}, "'a: value' is x"),
        ({"meters": [{"name": "clock", "info": 1, "readings": []}]}, "clock: its info is no object"),
        ({"queries": [Query(0, 0, STAGES_NS).to_json()]}, "a query took no time"),
        ({"kind": "bench runs", "results": []}, "list of results is missing or empty"),
    ],
)
def test_other_files_are_refused_with_one_sentence(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    (tmp_path / "r.json").write_text(json.dumps(RESULT.to_json() | change))

    with pytest.raises(BadInput) as refused:
        read_results(tmp_path / "r.json")

    assert sentence in str(refused.value)
    assert str(tmp_path / "r.json") in str(refused.value)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner))


@given(st.lists(st.integers(0, 30), max_size=4), JSON)
def test_a_damaged_file_is_never_more_than_refused(tmp_path_factory: Any, way: list[int], value: Any) -> None:
    """Somewhere in a result, along `way`, stands something else."""
    data: Any = copy.deepcopy(as_json([RESULT, RESULT]))
    place = data
    for step in way:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = keys[step % len(keys)]
        if not isinstance(place[key], dict | list) or not place[key] or step == way[-1]:
            place[key] = value
            break
        place = place[key]
    path = tmp_path_factory.getbasetemp() / "damaged.json"
    path.write_text(json.dumps(data))

    try:
        assert read_results(path)
    except BadInput as error:
        assert str(error).endswith(".")  # noqa: PT017 - both ends are right
