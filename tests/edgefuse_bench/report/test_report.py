"""Results as a page, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgefuse_bench.report import figures
from edgefuse_bench.report.entries import gather
from edgefuse_bench.report.pictures import pictures_of
from edgefuse_bench.report.rows import row, slowed_spans
from edgefuse_bench.report.writing import write_report
from edgefuse_bench.result import read_results, write_results

OLD = Path(__file__).parents[1] / "fixtures" / "bench-schema-1.json"

ACCURACY = {
    "golden": {"n": 8, "labels_changed": 1, "worst_probability_shift": 0.0013},
    "samples": {
        "n": 100, "accuracy": 0.74, "accuracy_interval": [0.66, 0.82], "macro_f1": 0.6, "macro_f1_interval": None,
    },
    "kit": {"dataset": "synthetic set", "drawn": False, "part": "test", "n": 412, "accuracy": 0.771, "macro_f1": 0.623},
}  # fmt: skip


def readings(*values):
    return [{"t_ns": k * 10**9, "value": value} for k, value in enumerate(values)]


COVERS = "What the board's rails take; USB devices are not in it."
METERS = (
    {"name": "PMIC power", "unit": "W", "info": {"covers": COVERS}, "readings": readings(5.0, 5.5)},
    {"name": "temperature", "unit": "°C", "info": {}, "readings": readings(40, 50, 70, 81, 60, 50, 50)},
    {"name": "throttling", "unit": "bits", "info": {}, "readings": readings(0, 0, 0b100, 0b100, 0x40000, 0x40000)},
    {"name": "energy", "not_measurable": "The processor shows no energy counter (RAPL)."},
)


@pytest.fixture
def page(make_result, tmp_path):
    """The page of these results."""
    pytest.importorskip("matplotlib", reason="draws")
    pytest.importorskip("jinja2", reason="fills a template")

    def write(*results):
        write_report(gather(results), tmp_path / "r.html")
        return (tmp_path / "r.html").read_text(encoding="utf-8")

    return write


def test_entries_are_named_by_what_differs(make_result) -> None:
    board = {"board": "Board 4"}
    found = gather([
        make_result(threads=1), make_result(threads=2), make_result(threads=1, seed=1), make_result(machine=board),
        make_result(scenario="Cold"),
    ])  # fmt: skip
    assert list(found.machines) == ["Synthetic CPU", "Board 4"]
    assert [(entry.label, len(entry.results)) for entry in found.entries] == [
        ("Synthetic CPU, SingleStream, 1 thread", 2),
        ("Synthetic CPU, SingleStream, 2 threads", 1),
        ("Board 4, SingleStream, 2 threads", 1),
        ("Synthetic CPU, Cold, 2 threads", 1),
    ]
    assert [entry.label for entry in gather([make_result()]).entries] == ["SingleStream"]


def test_two_machines_of_a_name_are_numbered(make_result) -> None:
    found = gather([make_result(), make_result(machine={"ram_bytes": 1 << 30})])
    assert list(found.machines) == ["Synthetic CPU (1)", "Synthetic CPU (2)"]
    third = make_result(machine={"board": "Synthetic CPU (1)"})
    found = gather([make_result(), make_result(machine={"ram_bytes": 1 << 30}), third])
    assert list(found.machines) == ["Synthetic CPU (2)", "Synthetic CPU (3)", "Synthetic CPU (1)"]


def test_a_row_holds_the_figures_of_the_queries(make_result) -> None:
    result = make_result(queries=130, accuracy=ACCURACY, meters=METERS)
    found = row(gather([result]).entries[0])
    totals = sorted(query.total_ns for query in result.queries)
    assert (found["median_ns"], found["p90_ns"], found["p95_ns"]) == (totals[65], totals[117], totals[123])
    assert "p99_ns" not in found
    assert found["text_ns"] == sorted(query.stages_ns["text"] for query in result.queries)[65]
    assert found["first_ns"] == result.open_ns + result.first.total_ns
    assert (found["peak_rss_bytes"], found["hottest_celsius"]) == (300 << 20, 81)
    assert (found["kit_accuracy"], found["samples_accuracy_low"], found["golden_labels_changed"]) == (0.771, 0.66, 1)


def test_accuracy_of_the_answers_stands_beside_their_times_unless_it_is_of_drawn_ones(make_result, page) -> None:
    samples = {"source": "evaluation", "drawn": False, "count": 100}
    result = make_result(accuracy=ACCURACY, samples=samples)
    html = page(result)
    assert html.count(".740 [.66, .82]") == 2
    for words in (
        "accuracy here (.66 to .82), on 100 labelled samples",
        "over 100 evaluation samples",
        "95 % interval",
    ):
        assert words in html
    drawn = {**ACCURACY, "samples": ACCURACY["samples"] | {"drawn": True}}
    html = page(replace(result, accuracy=drawn, samples=samples | {"drawn": True}))
    assert ".740" not in html
    assert "answers mean nothing" in html


def test_energy_is_that_of_the_time_of_the_queries(make_result) -> None:
    """5 W while queries are asked, 50 W before and after: an answer costs 5 W x its mean time."""
    result = make_result(queries=300, processes=3)
    start, last = result.queries[0].start_ns, result.queries[-1]
    moments = [k * 10**9 for k in range(60)]
    watts = [5.0 if start <= t <= last.start_ns + last.total_ns else 50.0 for t in moments]
    power = {"name": "power", "unit": "W", "info": {}}
    power["readings"] = [{"t_ns": t, "value": value} for t, value in zip(moments, watts, strict=True)]
    seconds = np.mean([query.total_ns for query in result.queries]) / 1e9
    found = row(gather([replace(result, meters=(power,))]).entries[0])
    assert found["joules_an_answer"] == pytest.approx(5 * seconds)
    assert row(gather([make_result(queries=4, meters=(power,))]).entries[0])["joules_an_answer"] is None


def test_no_time_of_an_emulator_is_told(make_result, page) -> None:
    results = [make_result(), make_result(median_ms=7654.3, emulated=True, machine={"emulated": True})]
    found = row(gather(results).entries[1])
    assert not [name for name in found if name.endswith("_ns")]
    assert found["peak_rss_bytes"]
    html = page(*results)
    assert "Synthetic CPU (emulated)" in html
    assert "Emulated: a program imitates the processor" in html
    assert "7,65" not in html


def test_the_page_holds_all_sections_and_loads_nothing(make_result, page) -> None:
    both = {"accuracy": ACCURACY, "meters": METERS, "notes": ("A <b>warning</b>.",)}
    results = [make_result(threads=threads, **both) for threads in (1, 2)]
    results += [
        make_result(scenario="Offline", threads=threads, throughput={"samples_per_second": rate}, **both)
        for threads, rate in ((1, 8.0), (2, 13.0))
    ]
    html = page(*results)
    for title in (
        "At a glance", "Where the time goes", "How the times are spread", "How right the answers are",
        "Memory over time", "Heat, clock and energy", "Throughput against threads", "Machine",
    ):  # fmt: skip
        assert f">{title}</h2>" in html, title
    assert html.count("<svg") == 2 + 1 + 4 + 4 + 1
    assert "prefers-color-scheme: dark" in html
    assert not re.findall(r"<(?:script|link|img|iframe)\b|url\((?!#)|@import|(?:src|href)=\"(?!#)", html)
    for words in (
        "times count, answers mean nothing",
        "energy is not measurable. The processor shows no energy counter (RAPL).",
        "A &lt;b&gt;warning&lt;/b&gt;.",
        "shaded: the machine was slowed down",
        "PMIC power: What the board&#39;s rails take",
        "a device that\n  was not measured has none",
        "1 of 8",
        "accuracy of the kit on 412 test rows, in the workshop",
        ">13<",
    ):
        assert words in html, words


def test_what_a_file_says_is_never_markup(make_result, page) -> None:
    hostile = '<script>alert("&")</script>'
    meters = ({"name": hostile, "not_measurable": hostile},)
    results = [
        make_result(machine={"cpu": hostile, "system": hostile}, notes=(hostile,), meters=meters),
        make_result(engine=hostile, machine={"board": hostile}),
    ]
    assert "<script" not in page(*results)


def test_a_name_with_dollar_signs_is_no_formula(make_result, page) -> None:
    named = {"name": "$x_{$", "version": "1", "digest": "b" * 64}

    assert "$x_{$ 1" in page(make_result(), make_result(kit=named))


def test_markdown_and_csv_hold_the_same_without_extras(make_result, tmp_path, monkeypatch) -> None:
    for module in ("matplotlib", "jinja2"):
        monkeypatch.setitem(sys.modules, module, None)
    found = gather([make_result(threads=1, accuracy=ACCURACY), make_result(median_ms=60, threads=2, meters=METERS)])
    write_report(found, tmp_path / "r.md")
    write_report(found, tmp_path / "r.csv")
    text = (tmp_path / "r.md").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "r.csv").read_text(encoding="utf-8"))))
    assert [line["threads"] for line in rows] == ["1", "2"]
    for line, entry in zip(rows, found.entries, strict=True):
        assert int(line["median_ns"]) == row(entry)["median_ns"]
        assert f"| {int(line['median_ns']) / 1e6:.1f} |" in text
    assert rows[0]["kit_accuracy"] == "0.771"
    assert "| Processor | Synthetic CPU |" in text
    assert "> The samples are drawn by edgefuse" in text


def test_an_old_file_makes_a_page(page) -> None:
    html = page(*read_results(OLD))
    assert "memory over time was not recorded" in html
    assert "no meter was read beside the run" in html
    assert "these results are of an edgefuse that did not look at the answers" in html


def test_the_figures_hold_the_numbers(make_result) -> None:
    pytest.importorskip("matplotlib", reason="draws")
    result = make_result(meters=METERS)
    pictures = dict(pictures_of(gather([result, make_result(threads=1)])))
    bars = pictures["stages"][0].figure.axes[0].patches
    medians = [sorted(query.stages_ns[name] for query in result.queries)[32] / 1e6 for name in
               ("tokenise", "text", "decode", "image", "head")]  # fmt: skip
    assert [bar.get_width() for bar in bars] == pytest.approx(medians)
    assert [bar.get_x() for bar in bars] == pytest.approx(np.r_[0, np.cumsum(medians)[:-1]])
    line = pictures["latency"][0].figure.axes[0].lines[0]
    assert line.get_xdata()[1:].tolist() == sorted(query.total_ns / 1e6 for query in result.queries)
    assert line.get_ydata()[-1] == 1
    (heat,) = pictures["heat"]
    assert heat.figure.axes[0].lines[0].get_ydata().tolist() == [40, 50, 70, 81, 60, 50, 50]
    assert len(heat.figure.axes[0].patches) == 2
    assert [axis.get_ylabel() for axis in heat.figure.axes] == ["temperature, °C", "power, W"]
    (threads,) = pictures["threads"]
    assert threads.figure.axes[0].lines[0].get_xdata().tolist() == [1, 2]


def test_spans_of_slowness_reach_from_a_reading_to_the_next() -> None:
    assert slowed_spans([(0, 0), (10**9, 4), (2 * 10**9, 5), (4 * 10**9, 0x40000)], 0xF) == [(1, 2), (2, 4)]


def test_the_command_writes_what_its_name_says(cli, make_result, tmp_path) -> None:
    write_results(tmp_path / "a.json", [make_result()])
    said = cli("bench", "report", tmp_path / "a.json", "-o", tmp_path / "r.csv")
    assert (said.code, said.out) == (0, "")
    assert (tmp_path / "r.csv").read_text().startswith("label,machine,")
    assert ".pdf is not .html, .md or .csv" in cli("bench", "report", tmp_path / "a.json", "-o", "r.pdf").refusal
    assert "name a file for --output" in cli("bench", "report", tmp_path / "a.json", "-o", tmp_path).refusal
    assert "is missing" in cli("bench", "report", tmp_path / "none.json", "-o", "r.md").refusal


def test_kits_of_one_name_are_told_apart_by_their_content(make_result) -> None:
    found = gather([make_result(), make_result(digest="b" * 64)])
    assert [entry.label for entry in found.entries] == ["synthetic 1 (aaaaaaaa)", "synthetic 1 (bbbbbbbb)"]


def test_no_figure_of_the_drawn_example_stands_in_a_table(make_result, tmp_path) -> None:
    kit = ACCURACY["kit"] | {"drawn": True, "dataset": "drawn"}
    found = gather([make_result(accuracy={"kit": kit})])
    for name in ("r.md", "r.csv"):
        write_report(found, tmp_path / name)
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "771" not in text
        assert "drawn" in text
    assert "none stands here" in (tmp_path / "r.md").read_text(encoding="utf-8")


def test_a_long_run_is_drawn_with_few_points_and_all_its_peaks() -> None:
    pytest.importorskip("matplotlib", reason="draws")
    times = np.random.default_rng(0).exponential(100, 20_000)
    line = figures.distribution([("many", times)]).axes[0].lines[0]
    assert len(line.get_xdata()) <= figures.POINTS + 1
    assert (line.get_xdata()[-1], line.get_ydata()[-1]) == (times.max(), 1)
    held = np.full(5_000, 100.0)
    held[777] = 300
    seconds = np.arange(5_000.0)
    drawn = figures.memory(seconds, held, np.zeros(5_000), None).axes[0].collections[0].get_paths()[0].vertices
    assert drawn[:, 1].max() == 300
    assert len(drawn) < 3 * figures.POINTS


def test_a_missing_extra_is_a_sentence(cli, make_result, tmp_path, monkeypatch) -> None:
    write_results(tmp_path / "a.json", [make_result()])
    for module in ("matplotlib", "jinja2"):
        with monkeypatch.context() as context:
            context.setitem(sys.modules, module, None)
            refusal = cli("bench", "report", tmp_path / "a.json", "-o", tmp_path / "r.html").refusal
        assert module in refusal
        assert "pip install 'edgefuse[report]'" in refusal
        assert not (tmp_path / "r.html").exists()


def test_a_note_stands_once_with_those_it_is_about(make_result) -> None:
    notes = [("Hot.", "Busy."), ("Busy.",), ("Hot.", "Busy.")]
    found = gather([make_result(threads=k, notes=each) for k, each in enumerate(notes, 1)])
    assert found.notes == ["1 thread; 3 threads: Hot.", "Busy."]


def test_offline_has_a_throughput_and_no_time_of_an_answer(make_result, page) -> None:
    offline = make_result(scenario="Offline", throughput={"samples_per_second": 12.5})
    found = row(gather([offline]).entries[0])
    assert found["per_second"] == 12.5
    assert "median_ns" not in found
    html = page(offline)
    assert "median ms" not in html
    assert ">12.5<" in html


def test_engines_that_follow_from_the_kit_are_not_told(make_result) -> None:
    other = {"kit": {"name": "other", "version": "2", "digest": "c" * 64}, "engine": "llama.cpp"}
    found = gather([make_result(), make_result(**other)])
    assert [entry.label for entry in found.entries] == ["synthetic 1", "other 2"]
    found = gather([make_result(), make_result(**other), make_result(engine="numpy")])
    assert [entry.label for entry in found.entries] == [
        "synthetic 1, onnxruntime",
        "other 2, llama.cpp",
        "synthetic 1, numpy",
    ]
