"""`edgefuse classify` over a folder or a table: every answer once, in order, whatever happens meanwhile."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from edgefuse import Classifier
from edgefuse.answering.inputs import Inputs
from edgefuse.answering.prediction import Prediction
from edgefuse.answering.text_cache import cache_folder
from edgefuse_runtimes.errors import DoesNotFit

NOTES = ("Known for many years.", "New, and it bleeds at times.", "Läsion am Bein, unklarer Verlauf.")
COUNT = 8


@pytest.fixture
def photos(tiny_workshop: Path, tmp_path: Path) -> Path:
    """Pictures of which every fourth has no note; the others share three notes."""
    folder = tmp_path / "photos"
    (folder / "ward").mkdir(parents=True)
    for number, picture in enumerate(sorted((tiny_workshop / "drawn").rglob("*.png"))[:COUNT]):
        place = folder / "ward" / f"{number:02}.jpg" if number % 2 else folder / f"{number:02}.jpg"
        Image.open(picture).save(place)
        if number % 4:
            place.with_suffix(".txt").write_text(NOTES[number % 3], encoding="utf-8")
    return folder


@pytest.fixture
def batch(cli: Callable[..., Any], tiny_kit: Path, tmp_path: Path) -> Callable[..., Any]:
    """Classify a source into answers.jsonl; the outcome of the command and the lines of the file."""

    def run(source: Path, *options: Path | str) -> tuple[Any, list[dict[str, Any]]]:
        output = tmp_path / "answers.jsonl"
        outcome = cli("classify", source, "--output", output, "--kit", tiny_kit, "--engine", "numpy", *options)
        return outcome, lines(output)

    return run


def lines(output: Path) -> list[dict[str, Any]]:
    content = output.read_bytes() if output.exists() else b""
    assert content == b"" or content.endswith(b"\n")
    return [json.loads(line) for line in content.splitlines()]


def ids(answers: list[dict[str, Any]]) -> list[str]:
    return [answer["id"] for answer in answers]


def names(photos: Path) -> list[str]:
    return [path.relative_to(photos).as_posix() for path in sorted(photos.rglob("*.jpg"))]


def test_referred_answers_are_counted(cli: Callable[..., Any], careful_kit: Path, photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    outcome = cli("classify", photos, "--output", output, "--kit", careful_kit, "--engine", "numpy")
    referred = [answer["referred"] for answer in lines(output)]
    with_note = [path.with_suffix(".txt").exists() for path in sorted(photos.rglob("*.jpg"))]
    assert (outcome.code, referred) == (0, with_note)
    assert f"; {sum(with_note)} refer to a clinician" in outcome.err


def test_a_folder_is_answered_in_order_as_sample_by_sample(
    batch: Callable[..., Any], photos: Path, tiny_kit: Path
) -> None:
    outcome, answers = batch(photos)
    assert (outcome.code, outcome.out) == (0, "")
    assert ids(answers) == names(photos)
    assert f"{COUNT} of {COUNT} samples answered in " in outcome.err
    with Classifier.open(tiny_kit, engine="numpy", cache=False) as classifier:
        for answer in answers:
            path = photos / answer["id"]
            note = path.with_suffix(".txt")
            alone = classifier.predict(path, note.read_text(encoding="utf-8") if note.exists() else None)
            assert answer["probabilities"] == pytest.approx(alone.probabilities, abs=1e-6)
            assert {"id", *alone.to_json()} == set(answer)
            assert (answer["missing"], answer["notes"]) == (alone.missing, alone.notes)
            assert answer["missing"] == ([] if note.exists() else ["text"])
    assert sum(answer["cached"] == ["text"] for answer in answers) == COUNT - COUNT // 4 - len(NOTES)


def test_a_table_names_pictures_and_notes_of_which_one_may_be_missing(
    batch: Callable[..., Any], photos: Path, tmp_path: Path
) -> None:
    table = tmp_path / "visits.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [
                ("id", "image", "text"),
                ("both", "photos/00.jpg", NOTES[0]),
                ("note", "", NOTES[1]),
                ("picture", "photos/02.jpg", ""),
                ("neither", "", ""),
                ("too long", "x" * 5000, ""),
            ]
        )
    outcome, answers = batch(table)
    assert outcome.code == 4
    assert [(answer["id"], answer["missing"]) for answer in answers] == [
        ("both", []),
        ("note", ["image"]),
        ("picture", ["text"]),
    ]
    assert "2 could not be answered; repair them and run the same command again:\n  neither: There is" in outcome.err
    assert "\n  too long: " in outcome.err


def test_bad_samples_are_listed_at_the_end_and_tried_again(batch: Callable[..., Any], photos: Path) -> None:
    whole = (photos / "ward" / "01.jpg").read_bytes()
    (photos / "ward" / "01.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "00.jpg").write_text("no picture")
    (photos / "02.txt").write_text(" \n")
    outcome, answers = batch(photos)
    assert outcome.code == 4
    assert ids(answers) == [name for name in names(photos) if name not in ("00.jpg", "02.jpg", "ward/01.jpg")]
    tail = outcome.err.split("3 could not be answered; repair them and run the same command again:\n")[1].splitlines()
    assert [line.split(":")[0].strip() for line in tail] == ["00.jpg", "02.jpg", "ward/01.jpg"]
    assert "is not a picture that edgefuse can read" in tail[0]
    assert "The note is empty; write at least a few words" in tail[1]
    assert "is damaged and cannot be decoded" in tail[2]
    (photos / "ward" / "01.jpg").write_bytes(whole)
    outcome, answers = batch(photos)
    assert outcome.code == 4
    assert ids(answers)[-1] == "ward/01.jpg"
    assert f"1 of {COUNT} samples answered" in outcome.err
    assert f"; {COUNT - 3} were answered before." in outcome.err


def test_a_finished_batch_does_nothing_again(batch: Callable[..., Any], photos: Path) -> None:
    _, answers = batch(photos)
    outcome, again = batch(photos)
    assert (outcome.code, again) == (0, answers)
    assert f"0 of {COUNT} samples answered" in outcome.err


def test_answers_of_another_kit_are_refused(
    batch: Callable[..., Any], photos: Path, tiny_kit: Path, tmp_path: Path, repack: Callable[..., None]
) -> None:
    other = Path(shutil.copytree(tiny_kit, tmp_path / "other.kit"))
    repack(other, lambda manifest: manifest.update(version="2"))
    _, answers = batch(photos)
    outcome, after = batch(photos, "--kit", other)
    assert "is an answer of another kit (tiny 1, digest " in outcome.refusal
    assert after == answers


def test_a_damaged_encoder_ends_the_batch_with_its_sentence(
    batch: Callable[..., Any], photos: Path, tiny_kit: Path, tmp_path: Path
) -> None:
    kit = Path(shutil.copytree(tiny_kit, tmp_path / "my.kit"))
    (kit / "image.onnx").write_bytes(bytes((kit / "image.onnx").stat().st_size))
    outcome, answers = batch(photos, "--kit", kit)
    assert (outcome.code, answers) == (2, [])
    assert "image.onnx" in outcome.err.splitlines()[-1]


def test_samples_that_failed_are_listed_even_if_the_batch_ends_early(
    batch: Callable[..., Any], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(classifier: Classifier, group: Sequence[Inputs]) -> list[Prediction]:
        raise DoesNotFit("There is too little memory.")

    (photos / "00.jpg").write_text("no picture")
    monkeypatch.setattr(Classifier, "answer_together", fail)
    outcome, answers = batch(photos)
    assert (outcome.code, answers) == (7, [])
    assert "1 could not be answered; repair them and run the same command again:\n  00.jpg: " in outcome.err
    assert outcome.err.endswith("edgefuse: There is too little memory.\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["photos"], "photos holds many samples; name the file for the answers with --output FILE.jsonl"),
        (["visits.csv"], "visits.csv holds many samples; name the file for the answers"),
        (["photos", "--output", "o.jsonl", "--note", "x"], "With --output name a folder or a table"),
        (["--output", "o.jsonl"], "With --output name a folder or a table"),
        (["photos", "--output", "o.jsonl", "--json"], "--output writes JSON lines already; leave out --json"),
        (["photos", "--output", "-"], "--output needs the name of a file"),
        (["photos/00.jpg", "--output", "o.jsonl"], "photos/00.jpg is neither a folder nor a table"),
        (["no", "--output", "o.jsonl"], "no is neither a folder nor a table"),
    ],
)
def test_what_does_not_go_together(
    cli: Callable[..., Any], photos: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(photos.parent)
    assert said in cli("classify", *arguments).refusal
    assert not Path("o.jsonl").exists()
    assert not Path("-").exists()


def test_no_word_of_a_note_is_kept_anywhere(batch: Callable[..., Any], photos: Path, tmp_path: Path) -> None:
    _, answers = batch(photos)
    assert len(answers) == COUNT
    kept = [tmp_path / "answers.jsonl", *(path for path in cache_folder().parent.rglob("*") if path.is_file())]
    assert (cache_folder() / "vectors.sqlite") in kept
    content = b"".join(path.read_bytes() for path in kept).decode("latin-1").lower()
    for word in {word.strip(".,").lower() for note in NOTES for word in note.split()}:
        if len(word) > 3:
            assert word not in content
            assert word.encode("utf-8").decode("latin-1") not in content


def test_without_the_cache_nothing_is_kept(batch: Callable[..., Any], photos: Path) -> None:
    _, answers = batch(photos, "--no-cache")
    assert {tuple(answer["cached"]) for answer in answers} == {()}
    assert not cache_folder().exists()


# Interruptions


def begun(photos: Path, output: Path, kit: Path) -> subprocess.Popen[str]:
    """A batch in a process of its own, which has given a few answers."""
    command = [sys.executable, "-m", "edgefuse", "classify", photos, "--output", output, "--kit", kit]
    child = subprocess.Popen([*map(str, command), "--engine", "numpy", "--no-cache"], stderr=subprocess.PIPE, text=True)
    while not output.exists() or output.read_bytes().count(b"\n") < 3:
        assert child.poll() is None
        time.sleep(0.001)
    return child


def test_a_killed_batch_leaves_whole_lines_and_is_gone_on_with(
    batch: Callable[..., Any], photos: Path, tiny_kit: Path, tmp_path: Path
) -> None:
    for number in range(25):  # enough that it cannot be done before it is killed
        shutil.copy(photos / "02.jpg", photos / f"more-{number:02}.jpg")
    output = tmp_path / "answers.jsonl"
    child = begun(photos, output, tiny_kit)
    child.kill()
    child.communicate()
    first = lines(output)
    assert ids(first) == names(photos)[: len(first)]
    assert len(first) < COUNT + 25
    output.write_bytes(output.read_bytes() + b'{"id": "half a li')
    outcome, answers = batch(photos)
    assert outcome.code == 0
    assert answers[: len(first)] == first
    assert ids(answers) == names(photos)
    assert f"The last line of {output} was half written and was removed; its sample is answered again." in outcome.err


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_batch_says_how_to_go_on(
    photos: Path, tiny_kit: Path, tmp_path: Path, ended_by: signal.Signals
) -> None:
    for number in range(25):
        shutil.copy(photos / "02.jpg", photos / f"more-{number:02}.jpg")
    output = tmp_path / "answers.jsonl"
    child = begun(photos, output, tiny_kit)
    os.kill(child.pid, ended_by)
    _, err = child.communicate()
    assert child.returncode == 130, err
    assert f"{output} holds {len(lines(output))} answers; the same command goes on after them." in err
    assert "Traceback" not in err


def test_a_second_batch_into_the_same_file_is_refused(
    batch: Callable[..., Any], photos: Path, tiny_kit: Path, tmp_path: Path
) -> None:
    for number in range(25):
        Image.new("RGB", (300, 200), (number, 90, 60)).save(photos / f"more-{number:02}.jpg")
    child = begun(photos, tmp_path / "answers.jsonl", tiny_kit)
    os.kill(child.pid, signal.SIGSTOP)
    outcome, _ = batch(photos)
    os.kill(child.pid, signal.SIGCONT)
    child.kill()
    child.communicate()
    assert "Another edgefuse is writing" in outcome.refusal
