"""`edgefuse classify` stores its answers, and `edgefuse results` gives them back."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse.home import home
from edgefuse.results.log import ResultsLog, results_folder
from edgefuse_runtimes.errors import NotStored

NOTE = "Jane, 45 years, bleeds."


@pytest.fixture
def picture(tiny_kit: Path) -> Path:
    return tiny_kit / "golden" / "1.png"


@pytest.fixture
def classify(cli: Callable[..., Any], tiny_kit: Path, picture: Path) -> Callable[..., Any]:
    """The outcome for one picture and note."""

    def run(*options: Path | str) -> Any:
        return cli("classify", picture, "--note", NOTE, "--kit", tiny_kit, "--engine", "numpy", *options)

    return run


def stored() -> list[dict[str, Any]]:
    with ResultsLog.open(results_folder()) as log:
        return [record.to_json() for record in log.records()]


def test_what_is_printed_is_stored_under_the_number_that_is_told(classify: Callable[..., Any], picture: Path) -> None:
    found = json.loads(classify("--json", "--case", " A-17\n").out)
    page = classify().out
    first, second = stored()
    assert first["answer"] == found | {"image": None}
    assert (first["number"], found["number"], first["case"]) == (1, 1, "A-17")
    assert "  stored   as number 2\n" in page
    assert second["case"] is None
    assert first["picture_hash"] == second["picture_hash"] is not None
    assert first["note_hash"] == second["note_hash"] is not None
    assert (first["kept_picture"], first["kept_note"]) == (None, None)


def test_inputs_are_kept_only_if_asked_for(classify: Callable[..., Any], picture: Path) -> None:
    classify("--keep-inputs")
    (record,) = stored()
    assert Path(record["kept_picture"]).read_bytes() == picture.read_bytes()
    assert record["kept_note"] == NOTE


def test_nothing_is_stored_without_the_log(classify: Callable[..., Any]) -> None:
    outcome = classify("--no-log")
    assert outcome.code == 0
    assert "stored" not in outcome.out
    assert not results_folder().exists()
    assert "--no-log stores nothing" in classify("--no-log", "--keep-inputs").refusal
    assert "--no-log stores nothing" in classify("--no-log", "--case", "A").refusal


def test_a_refused_sample_is_not_stored(cli: Callable[..., Any], tiny_kit: Path) -> None:
    assert cli("classify", "no.jpg", "--kit", tiny_kit).code == 2
    assert not results_folder().exists()


def test_an_answer_that_cannot_be_stored_is_printed_and_the_code_is_6(
    classify: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    results_folder().parent.mkdir(parents=True)
    results_folder().write_text("a file in the way")
    outcome = classify("--json")
    assert outcome.code == NotStored.exit_code == 6
    assert json.loads(outcome.out)["number"] is None
    assert outcome.err.startswith("edgefuse: The answer was not stored in the results log: ")
    assert outcome.err.count("\n") == 1
    assert classify("--no-log").code == 0


def test_a_damaged_log_is_set_aside_with_a_sentence(classify: Callable[..., Any]) -> None:
    results_folder().mkdir(parents=True)
    (results_folder() / "results.sqlite").write_text("no database " * 100)
    outcome = classify("--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["number"] == 1
    assert "it was set aside as results.sqlite.corrupt-1, nothing of it was deleted" in outcome.err


def test_a_case_that_is_not_utf8_or_would_steer_the_terminal(classify: Callable[..., Any]) -> None:
    classify("--case", os.fsdecode(b"L\xe4\x1b[2J"))
    assert stored()[0]["case"] == "L\ufffd [2J"


def test_the_folder_is_that_of_the_user_or_of_the_environment(
    classify: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert results_folder() == home() / "results"
    monkeypatch.setenv("EDGEFUSE_HOME", str(tmp_path / "elsewhere"))
    classify()
    assert (tmp_path / "elsewhere" / "results" / "results.sqlite").is_file()


# A batch


def test_every_line_of_a_batch_has_its_number_in_the_log(
    cli: Callable[..., Any], tiny_kit: Path, picture: Path, tmp_path: Path
) -> None:
    table = tmp_path / "visits.csv"
    table.write_text(f"id,image,text,case\na,{picture},first,A-17\nb,,second,\nc,{picture},,A-18\nd,no.jpg,,\n")
    output = tmp_path / "answers.jsonl"
    ask = ["classify", table, "--output", output, "--kit", tiny_kit, "--engine", "numpy"]
    assert cli(*ask, "--case", "all").code == 4
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 3]
    records = stored()
    assert [record["case"] for record in records] == ["A-17", "all", "A-18"]
    hidden = {"id": None, "image": None}
    assert [record["answer"] | hidden for record in records] == [line | hidden for line in lines]


def test_a_batch_that_cannot_be_stored_is_answered_and_says_so_once(
    cli: Callable[..., Any], tiny_kit: Path, picture: Path, tmp_path: Path
) -> None:
    results_folder().parent.mkdir(parents=True)
    results_folder().write_text("a file in the way")
    (tmp_path / "notes.csv").write_text("text\nfirst\nsecond\n")
    output = tmp_path / "answers.jsonl"
    outcome = cli("classify", tmp_path / "notes.csv", "--output", output, "--kit", tiny_kit, "--engine", "numpy")
    assert outcome.code == 6
    assert [json.loads(line)["number"] for line in output.read_text().splitlines()] == [None, None]
    assert outcome.err.count("2 answers are not, or not whole, in the results log. The answer was not stored") == 1


# Looking


@pytest.fixture
def three(cli: Callable[..., Any], careful_kit: Path, picture: Path) -> None:
    """Answers 1 and 3 refer to a clinician."""
    for note, case in (("first", "=A"), (None, "B"), ("third", "B")):
        given = () if note is None else ("--note", note)
        cli("classify", picture, *given, "--case", case, "--kit", careful_kit, "--engine", "numpy")


@pytest.mark.usefixtures("three")
def test_answers_are_listed(cli: Callable[..., Any]) -> None:
    outcome = cli("results", "list")
    assert (outcome.code, outcome.err) == (0, "")
    listed = outcome.out.splitlines()
    assert [line.split()[0] for line in listed] == ["1", "2", "3"]
    assert ["REFER" in line for line in listed] == [True, False, True]
    assert listed[0].endswith("tiny 1  =A")
    assert cli("results", "list", "--case", "B", "--referred").out.splitlines() == listed[2:]
    assert cli("results", "list", "--last", "1").out.splitlines() == listed[2:]
    assert cli("results", "list", "--since", "2001-01-01", "--kit", "tiny").out.splitlines() == listed
    none = cli("results", "list", "--kit", "other")
    assert (none.code, none.out) == (0, "")
    assert none.err == f"No answer of this kind is stored in {results_folder() / 'results.sqlite'}.\n"
    assert "--since 'long ago' is no date" in cli("results", "list", "--since", "long ago").refusal


@pytest.mark.usefixtures("three")
def test_json_of_a_list_and_of_one(cli: Callable[..., Any]) -> None:
    listed = [json.loads(line) for line in cli("results", "list", "--json").out.splitlines()]
    assert listed == stored()
    assert json.loads(cli("results", "show", "2", "--json").out) == listed[1]


@pytest.mark.usefixtures("three")
def test_one_is_shown_whole(cli: Callable[..., Any]) -> None:
    record = stored()[0]
    page = cli("results", "show", "1").out
    shown = dict(re.split(r"  +", line.strip(), maxsplit=1) for line in page.splitlines())
    assert shown["referral"] == f"REFER  ask a clinician: {record['answer']['reason']}"
    assert shown["picture hash"] == record["picture_hash"]
    assert (shown["case"], shown["picture"], shown["note"]) == ("=A", "not kept", "not kept")
    for name, probability in record["answer"]["probabilities"].items():
        assert f"{name}  {probability:6.1%}".split() == [name, shown[name]]
    assert "has no answer 7; see 'edgefuse results list'" in cli("results", "show", "7").refusal


@pytest.mark.usefixtures("three")
def test_an_export_is_a_whole_file_of_its_owner_or_standard_output(cli: Callable[..., Any], tmp_path: Path) -> None:
    table = tmp_path / "answers.csv"
    table.write_text("old")
    outcome = cli("results", "export", "csv", table)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", f"{table} holds 3 answers.\n")
    assert stat.S_IMODE(table.stat().st_mode) == 0o600
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == ["'=A", "B", "B"]
    printed = cli("results", "export", "csv", "--case", "B").out
    assert list(csv.DictReader(io.StringIO(printed, newline=""))) == rows[1:]
    assert [json.loads(line) for line in cli("results", "export", "jsonl").out.splitlines()] == stored()
    assert list(tmp_path.glob(".*.part")) == []


@pytest.mark.usefixtures("three")
def test_another_log_can_be_read(cli: Callable[..., Any], tmp_path: Path) -> None:
    aside = (results_folder() / "results.sqlite").rename(results_folder() / "results.sqlite.corrupt-1")
    assert cli("results", "list").out == ""
    assert len(cli("results", "list", "--log", aside).out.splitlines()) == 3
    assert len(cli("results", "list", "--log", aside, "--case", "B", "--last", "1").out.splitlines()) == 1
    rows = csv.DictReader(io.StringIO(cli("results", "export", "csv", "--log", aside).out, newline=""))
    assert [row["number"] for row in rows] == ["1", "2", "3"]
    assert "There is no log at" in cli("results", "list", "--log", tmp_path / "no").refusal


@pytest.mark.usefixtures("three")
def test_an_export_that_fails_leaves_the_old_file(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "answers.csv"
    table.write_text("old")

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device", str(table))

    monkeypatch.setattr("edgefuse_runtimes.files.os.fsync", fail)
    assert cli("results", "export", "csv", table).code == 7
    assert table.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


# Purging


@pytest.mark.usefixtures("three")
def test_purging_asks_unless_told_not_to(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    refused = cli("results", "purge", "--case", "B")
    assert refused.code == 0
    assert "Remove 2 answers from" in refused.err
    assert refused.err.endswith("Nothing was removed.\n")
    assert len(stored()) == 3
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    done = cli("results", "purge", "--case", "B")
    assert (done.code, done.out) == (0, "")
    assert "2 answers removed from" in done.err
    assert [record["number"] for record in stored()] == [1]
    assert cli("results", "purge", "--before", "2001-01-01", "--yes").code == 0
    assert len(stored()) == 1
    assert cli("results", "purge", "--all", "--yes").code == 0
    assert stored() == []


@pytest.mark.parametrize("options", [[], ["--all", "--case", "B"], ["--all", "--before", "2026-01-01"]])
def test_purging_wants_to_know_what(cli: Callable[..., Any], options: list[str]) -> None:
    assert "Say which answers" in cli("results", "purge", "--yes", *options).refusal
