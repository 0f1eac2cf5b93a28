"""`edgefuse bench run`, on a whole small kit in a real child process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgefuse_bench import harness
from edgefuse_bench.rows import page, stage_rows
from edgefuse_runtimes.errors import BadInput, EdgefuseError


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgefuse", "bench", "run", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def result(tiny_kit: Path) -> dict[str, Any]:
    return harness.run_single_stream(tiny_kit, samples=11, warmup=3, engine="numpy", threads=1)


def test_every_query_is_kept_in_nanoseconds(result) -> None:
    assert len(result["queries"]) == 11
    assert len(result["warmup"]) == 3
    for query in result["queries"]:
        assert isinstance(query["total_ns"], int)
        assert 0 < sum(query["stages_ns"].values()) <= query["total_ns"] * 1.01
    assert [query["sample"] for query in result["warmup"] + result["queries"]] == [k % 8 for k in range(1, 15)]


def test_loading_is_in_the_first_answer_only(result) -> None:
    assert result["open_ns"] > 0
    assert result["first"]["stages_ns"]["load"] > 0
    assert max(query["stages_ns"]["load"] for query in result["queries"]) < result["first"]["stages_ns"]["load"]


def test_a_result_says_what_it_was_measured_on(result, tiny_kit) -> None:
    assert (result["schema"], result["scenario"], result["kind"]) == (1, "SingleStream", "bench run")
    assert result["kit"]["name"] == "tiny"
    assert result["kit"]["digest"] == json.loads((tiny_kit / "kit.json").read_bytes())["digest"]
    assert result["engines"] == {"image": "numpy", "text": "numpy"}
    assert result["samples"]["drawn"] is True
    assert result["machine"]["cpu"]


def test_the_precision_asked_for_is_measured(kit_of_both: Path) -> None:
    result = harness.run_single_stream(kit_of_both, samples=1, warmup=0, engine="numpy", threads=1, precision="fp32")
    assert (result["settings"]["precision"], result["precisions"]["image"]) == ("fp32", "fp32")


def test_memory_is_the_childs_own_not_ours(tiny_kit) -> None:
    ballast = bytearray(b"x" * (300 << 20))
    memory = harness.run_single_stream(tiny_kit, samples=1, warmup=0, engine="numpy", threads=1)["memory"]
    del ballast

    assert 0 < memory["anon_bytes"] <= memory["vm_hwm_bytes"] < 300 << 20
    assert memory["peak_rss_bytes"] >= memory["vm_hwm_bytes"] * 0.99


def test_the_page_shows_stages_and_says_that_samples_are_drawn(result) -> None:
    text = page(result)

    for word in ("text", "image", "head", "total", "min", "median", "max", "drawn by edgefuse", "MiB"):
        assert word in text
    assert "p90 64" in text
    assert all("p90" not in row for row in stage_rows(result).values())


def test_rows_come_from_the_queries() -> None:
    queries = [
        {"total_ns": total, "stages_ns": {"load": 0, "text": total // 2, "image": 5, "head": 1}}
        for total in range(100, 228)
    ]

    rows = stage_rows({"queries": queries})

    assert rows["total"] == {"min": 100, "median": 164, "max": 227, "p90": 215}
    assert rows["image"] == {"min": 5, "median": 5, "max": 5, "p90": 5}
    assert list(rows) == ["text", "image", "head", "total"]


def test_the_command_prints_a_page_and_writes_json(tiny_kit, tmp_path) -> None:
    done = bench(tiny_kit, "--samples", "2", "--warmup", "0", "--engine", "numpy", "--json", tmp_path / "r.json")

    assert done.returncode == 0, done.stderr
    assert "SingleStream, 2 queries" in done.stdout
    assert len(json.loads((tmp_path / "r.json").read_bytes())["queries"]) == 2


def test_json_to_standard_output_is_nothing_but_json(tiny_kit) -> None:
    done = bench(tiny_kit, "--samples", "1", "--warmup", "0", "--engine", "numpy", "--json", "-")

    assert json.loads(done.stdout)["kit"]["name"] == "tiny"


def test_what_the_child_refuses_is_one_sentence(tiny_kit, tmp_path) -> None:
    missing = bench(tmp_path / "missing.kit")
    folder = bench(tiny_kit, "--json", tmp_path)

    for done, sentence in ((missing, "There is no kit at"), (folder, "is a folder")):
        assert done.returncode == 2
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr


def test_refusals_keep_their_class(tmp_path) -> None:
    with pytest.raises(BadInput, match="There is no kit"):
        harness.run_single_stream(tmp_path / "missing", samples=1, warmup=0, engine="numpy", threads=1)


def test_a_child_that_is_killed_is_said_so(tiny_kit, monkeypatch) -> None:
    def killed(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, -signal.SIGKILL)

    monkeypatch.setattr(harness.subprocess, "run", killed)

    with pytest.raises(EdgefuseError, match="ended by SIGKILL"):
        harness.run_single_stream(tiny_kit, samples=1, warmup=0, engine="numpy", threads=1)


def test_files_beside_the_caller_are_not_imported(tiny_kit, tmp_path, monkeypatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('imported from the working folder')")
    monkeypatch.chdir(tmp_path)

    assert harness.run_single_stream(tiny_kit, samples=1, warmup=0, engine="numpy", threads=1)["queries"]
