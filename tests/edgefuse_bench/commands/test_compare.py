"""`edgefuse bench compare` as a user and a check of continuous integration meet it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgefuse_bench.result import write_results

OLD = Path(__file__).parents[1] / "fixtures" / "bench-schema-1.json"


@pytest.fixture
def written(make_result, tmp_path):
    """Writes results that differ in time and seed under a name."""

    def write(name: str, *results) -> Path:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_results(tmp_path / name, list(results))
        return tmp_path / name

    return write


def test_a_slower_file_ends_with_5_where_that_is_not_allowed(cli, written, make_result) -> None:
    before, after = (written(f"{ms}.json", make_result(processes=4, median_ms=ms, seed=ms)) for ms in (100, 125))
    said = cli("bench", "compare", before, after)
    assert (said.code, said.err) == (0, "")
    assert "125.json: slower, 1.25 times the baseline's time (" in said.out
    broken = cli("bench", "compare", before, after, "--max-slowdown", 10)
    assert broken.code == 5
    assert broken.out == said.out
    assert broken.err.startswith(
        f"edgefuse: {after}: SingleStream, synthetic 1, onnxruntime int8 + onnxruntime int8, 2 threads: 1.2"
    )
    assert broken.err.endswith("times the baseline's time, where 1.10 is allowed.\n")
    assert cli("bench", "compare", before, after, "--max-slowdown", 30).code == 0
    assert cli("bench", "compare", after, before, "--max-slowdown", 0).code == 0


def test_more_memory_ends_with_5_where_that_is_not_allowed(cli, written, make_result) -> None:
    before, after = (written(f"{mib}.json", make_result(processes=4, peak_mib=mib, seed=mib)) for mib in (300, 390))
    assert cli("bench", "compare", before, after, "--max-slowdown", 10, "--max-growth", 40).code == 0
    assert cli("bench", "compare", before, after, "--max-growth", 20).code == 5


def test_every_further_file_is_set_against_the_first(cli, written, make_result) -> None:
    files = [written(f"{n}.json", make_result(seed=n, median_ms=ms)) for n, ms in ((0, 100), (1, 80), (2, 140))]
    said = cli("bench", "compare", *files).out
    assert "1.json: faster in the one process of each, 0.80 times" in said
    assert "2.json: slower in the one process of each, 1.40 times" in said


def test_files_of_one_name_are_told_apart_by_their_folders(cli, written, make_result) -> None:
    files = [written(f"{folder}/r.json", make_result(seed=seed)) for seed, folder in enumerate(("old", "new"))]
    said = cli("bench", "compare", *files).out
    assert "old/r.json" in said
    assert "new/r.json: no difference shown" in said


def test_long_names_stand_whole_above_the_table(cli, written, make_result) -> None:
    names = ("pi5-single-2026-11-28.json", "pi5-single-2026-11-29.json")
    said = cli("bench", "compare", *(written(name, make_result(seed=seed)) for seed, name in enumerate(names))).out
    assert f"before  {names[0]}\nafter   {names[1]}\n" in said
    assert any(line.split()[:3] == ["before", "after", "ratio"] for line in said.splitlines())


def test_the_files_of_a_folder_are_repeats(cli, written, make_result, tmp_path) -> None:
    for number, (before, after) in enumerate(((100, 104), (112, 98), (103, 111))):
        written(f"before/{number}.json", make_result(median_ms=before, noise=0.001))
        written(f"after/{number}.json", make_result(median_ms=after, noise=0.001))
    said = cli("bench", "compare", tmp_path / "before", tmp_path / "after")
    assert "after: no difference shown" in said.out
    assert "one process each" not in said.out


def test_configurations_without_a_partner_are_named(cli, written, make_result) -> None:
    before = written("a.json", make_result(threads=1), make_result(threads=2))
    after = written("b.json", make_result(threads=2, seed=1), make_result(threads=3), make_result(threads=4))
    said = cli("bench", "compare", before, after)
    assert said.code == 0
    assert said.err.splitlines() == [
        "a.json alone has SingleStream, synthetic 1, onnxruntime int8 + onnxruntime int8, 1 thread.",
        "b.json alone has SingleStream, synthetic 1, onnxruntime int8 + onnxruntime int8, 3 threads.",
        "b.json alone has SingleStream, synthetic 1, onnxruntime int8 + onnxruntime int8, 4 threads.",
    ]


def test_a_file_of_schema_1_is_compared_with_a_new_one(cli, written, make_result) -> None:
    said = cli("bench", "compare", OLD, written("b.json", make_result()))
    assert said.code == 0
    assert "no verdict" in said.out  # it has 3 queries
    assert "two machines are compared" in said.out


def test_what_cannot_be_compared_is_a_sentence(cli, written, make_result, tmp_path) -> None:
    good = written("a.json", make_result())
    other = written("b.json", make_result(scenario="Offline"))
    empty = tmp_path / "empty"
    empty.mkdir()
    foreign, cut = tmp_path / "foreign.json", tmp_path / "cut.json"
    foreign.write_text('{"kind": "parity"}')
    cut.write_bytes(good.read_bytes()[:2000])
    for sentence, arguments in {
        "name a second file": [good],
        "have no configuration in common": [good, other],
        "holds no .json file": [good, empty],
        "it does not say that it is one": [good, foreign],
        "cannot be read as JSON": [cut, good],
        "is missing": [good, tmp_path / "nowhere.json"],
        "upgrade edgefuse": [good, written_with(good, tmp_path / "new.json", "schema", 3)],
    }.items():
        assert sentence in cli("bench", "compare", *arguments).refusal
    refused = cli("bench", "compare", good, good, "--max-slowdown", 10)
    assert refused.code == 2
    assert "one process tells nothing" in refused.err


def written_with(source: Path, target: Path, key: str, value: object) -> Path:
    target.write_text(json.dumps(json.loads(source.read_bytes()) | {key: value}))
    return target


ACCURACY = {
    "golden": {"n": 8, "labels_changed": 1, "worst_probability_shift": 0.001},
    "samples": {"n": 9, "accuracy": 0.7, "accuracy_interval": [0.6, 0.8], "macro_f1": 0.6, "macro_f1_interval": None},
    "kit": {"n": 412, "accuracy": 0.8, "macro_f1": 0.6, "drawn": False, "dataset": "some"},
}
METERS = (
    {"name": "clock", "unit": "MHz", "info": {}, "readings": [{"t_ns": 1, "value": 1500.0}, {"t_ns": 2, "value": 9}]},
    {"name": "power", "unit": "W", "info": {}, "readings": [{"t_ns": t * 10**9, "value": 5.0} for t in range(30)]},
    {"name": "throttling", "unit": "bits", "info": {}, "readings": [{"t_ns": 1, "value": 0}, {"t_ns": 2, "value": 4}]},
    {"name": "temperature", "not_measurable": "No sensor."},
)

JUNK = st.sampled_from([None, -1, 0, 1.5, "word", [], {}, True, [1], {"a": 1}, 10**400, float("nan")])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_never_ends_in_a_fault(cli, make_result, tmp_path, data) -> None:
    """One value of a file, wherever it stands, is something else or missing."""
    rate = {"samples_per_second": 3.0, "interval": [2.5, 3.5]}
    result = make_result(queries=20, accuracy=ACCURACY, meters=METERS, throughput=rate)
    value = json.loads(json.dumps(result.to_json()))
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(value))
    place, depth = value, data.draw(st.integers(0, 4))
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if depth == 0 or not isinstance(place[key], dict | list) or not place[key]:
            break
        place, depth = place[key], depth - 1
    if data.draw(st.booleans()):
        del place[key]
    else:
        place[key] = data.draw(JUNK)
    bad.write_text(json.dumps(value))
    for verb in (("compare", bad, good), ("report", bad, good, "-o", tmp_path / "r.md")):
        done = cli("bench", *verb)
        assert done.code in (0, 2), (key, done.err)
        assert done.err.count("\n") <= (1 if done.code else 2)
