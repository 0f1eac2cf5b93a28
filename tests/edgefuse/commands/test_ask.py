"""`edgefuse ask`: a conversation that ends well whatever is typed."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgefuse import Classifier
from edgefuse.results.log import ResultsLog, results_folder
from edgefuse.results.records import Record
from edgefuse_runtimes.errors import DoesNotFit

Talk = Callable[..., Any]


@pytest.fixture
def home(tmp_path: Path, tiny_kit: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person with three pictures, of which `new one.png` is the newest."""
    folder = tmp_path / "home"
    (folder / "Pictures").mkdir(parents=True)
    for age, name in enumerate(("new one.png", "middle.png", "old.png")):
        copy = shutil.copy(tiny_kit / "golden" / f"{age}.png", folder / "Pictures" / name)
        os.utime(copy, (2e9 - age, 2e9 - age))
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr("edgefuse.asking.pictures.MEDIA", ())
    return folder


@pytest.fixture
def talk(cli: Callable[..., Any], home: Path, tiny_kit: Path, monkeypatch: pytest.MonkeyPatch) -> Talk:
    """What comes of typing these lines, and then Ctrl-D."""

    def run(*typed: str, options: tuple[Path | str, ...] = ()) -> Any:
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in typed)))
        kit = () if "--kit" in options else ("--kit", tiny_kit)
        return cli("ask", *kit, "--engine", "numpy", *options)

    return run


def stored() -> list[Record]:
    with ResultsLog.open(results_folder()) as log:
        return list(log.records())


def test_a_picture_a_note_and_a_case_are_answered_and_stored(talk: Talk, home: Path, tiny_kit: Path) -> None:
    outcome = talk("1", "It is new.", "Läsion am Bein.", "", "A-17", "q")
    assert (outcome.code, outcome.err) == (0, "")
    assert "   1  2033-05-18" in outcome.out
    assert "Pictures/new one.png" in outcome.out
    assert "Stored as number 1." in outcome.out
    assert outcome.out.endswith("Goodbye.\n")
    assert "This kit never says REFER, so ask a clinician about every answer." in " ".join(outcome.out.split())
    (record,) = stored()
    with Classifier.open(tiny_kit, engine="numpy", cache=False) as classifier:
        expected = classifier.predict(home / "Pictures" / "new one.png", "It is new.\nLäsion am Bein.")
    assert record.case == "A-17"
    assert record.answer["probabilities"] == pytest.approx(expected.probabilities, abs=1e-6)
    assert f"ANSWER: {expected.label}" in outcome.out


def test_a_referral_is_said_in_plain_words(talk: Talk, careful_kit: Path) -> None:
    outcome = talk("1", "It is new.", "", "", "q", options=("--kit", careful_kit))
    assert "  REFER: ask a clinician\n" in outcome.out
    assert "Where it says REFER, ask a clinician." in outcome.out
    assert stored()[0].answer["referred"] is True


def test_one_after_the_other_with_what_is_there(talk: Talk, home: Path) -> None:
    dragged = str(home / "Pictures" / "old.png").replace(" ", "\\ ")
    outcome = talk("2", "", "", "", "n", "A note alone.", "", "", "", f"'{dragged}' ", "words", "", "B", "q")
    assert outcome.code == 0
    assert [record.answer["missing"] for record in stored()] == [["text"], ["image"], []]
    assert [record.case for record in stored()] == [None, None, "B"]
    assert "No note was given: the image-only head answered" in " ".join(outcome.out.split())


def test_a_note_may_be_a_dragged_text_file(talk: Talk, home: Path) -> None:
    note = home / "my note.txt"
    note.write_bytes("Läsion".encode("latin-1"))
    outcome = talk("1", f"'{note}'", "", "q")
    assert "is not UTF-8 (byte 1); unreadable bytes were replaced." in " ".join(outcome.out.split())
    assert stored()[0].answer["notes"] == ["the note is not UTF-8 (byte 1); unreadable bytes were replaced."]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["7"], "There is no number 7."),
        (["0"], "There is no number 0."),
        (["no.jpg"], "no.jpg is not there; check the path, or drag the file here."),
        (["/"], "/ is a folder; choose one picture in it."),
        (["\0"], "is not there; check the path"),
        (["x" * 5000], "xxx is not there; check the path"),
        (["9" * 5000], "There is no number ...99999"),
        (["m"], "m is not there"),  # there are no older pictures
        (["n", ""], "Without a picture there must be a note."),
        (["1", "", "", "", "broken.png", "", ""], "There is no answer: broken.png is not a picture"),
        (["1", "broken.png", "", ""], "That is a picture. Here the note is wanted, in words."),
        (["1", "", ""], "Goodbye."),
    ],
)
def test_a_mistake_is_said_and_the_question_comes_again(
    talk: Talk, home: Path, monkeypatch: pytest.MonkeyPatch, typed: list[str], said: str
) -> None:
    monkeypatch.chdir(home)
    (home / "broken.png").write_text("no picture")
    outcome = talk(*typed)
    assert outcome.code == 0
    assert said in " ".join(outcome.out.split())
    assert "Traceback" not in outcome.out + outcome.err


def test_older_pictures_are_a_page_further(talk: Talk, home: Path) -> None:
    for number in range(20):
        copy = shutil.copy(home / "Pictures" / "old.png", home / "Pictures" / f"{number:02}.png")
        os.utime(copy, (1.5e9 - number, 1.5e9 - number))
    outcome = talk("m", "10", "", "", "q")
    shown = re.findall(r"^ +(\d+)  20\d\d-", outcome.out, re.MULTILINE)
    assert shown == [str(number) for number in range(1, 17)]
    assert "Picture: Pictures/06.png" in outcome.out
    assert len(stored()) == 1


def test_a_stick_that_is_plugged_in_meanwhile_is_seen_after_enter(
    talk: Talk, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (home / "Pictures").iterdir():
        path.unlink()
    assert "Type a number." not in talk("q").out
    calls = iter([[], [home / "Pictures"]])
    monkeypatch.setattr("edgefuse.asking.conversation.usual_folders", lambda: next(calls))
    (home / "Pictures" / "late.png").touch()
    assert "Pictures/late.png" in talk("", "q").out


def test_without_a_kit_the_window_waits_until_the_sentence_was_read(talk: Talk, tmp_path: Path) -> None:
    outcome = talk("", options=("--kit", tmp_path / "no.kit"))
    assert outcome.code == 2
    assert f"edgefuse: There is no kit at {tmp_path / 'no.kit'}; check the path.\n" in outcome.err
    assert "Press Enter to leave" in outcome.out


def test_an_answer_that_cannot_be_stored_is_to_be_written_down(talk: Talk) -> None:
    results_folder().parent.mkdir(parents=True)
    results_folder().write_text("in the way")
    outcome = talk("1", "", "", "q")
    assert outcome.code == 6
    assert "ANSWER: " in outcome.out
    assert "WRITE THE ANSWER DOWN. The answer was not stored" in " ".join(outcome.out.split())


def test_an_encoder_that_does_not_fit_beside_the_other_gets_the_memory_alone(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, real = [], Classifier.open

    def open_classifier(*arguments: Any, keep_open: bool, **settings: Any) -> Classifier:
        opened.append(keep_open)
        classifier = real(*arguments, keep_open=keep_open, **settings)
        if keep_open:
            monkeypatch.setattr(classifier, "predict", fail)
        return classifier

    def fail(*_: Any) -> None:
        raise DoesNotFit("Both do not fit.")

    monkeypatch.setattr(Classifier, "open", open_classifier)
    outcome = talk("1", "words", "", "", "", "2", "words", "", "", "q")
    assert opened == [True, False]
    assert outcome.out.count("Stored as number") == 2


def test_ctrl_c_stops_an_answer_and_the_next_one_comes(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, real = [], Classifier.open

    def open_classifier(*arguments: Any, **settings: Any) -> Classifier:
        classifier = real(*arguments, **settings)
        opened.append(classifier)
        if len(opened) == 1:
            monkeypatch.setattr(classifier, "predict", interrupt)
        return classifier

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Classifier, "open", open_classifier)
    outcome = talk("1", "words", "", "", "", "2", "words", "", "", "q")
    assert "Stopped; nothing was stored." in outcome.out
    assert "Stored as number 1." in outcome.out
    assert (outcome.code, len(opened)) == (0, 2)  # Ctrl-C ended the engines of the first


def test_inputs_are_kept_only_if_asked_for(talk: Talk) -> None:
    talk("1", "Jane", "", "", "q")
    talk("1", "Jane", "", "", "q", options=("--keep-inputs",))
    assert [record.kept_note for record in stored()] == [None, "Jane"]


# In a real terminal


class Terminal:
    """`edgefuse ask` in a terminal of its own."""

    def __init__(self, kit: Path, **environment: str) -> None:
        self._handle, inside = pty.openpty()
        command = [sys.executable, "-m", "edgefuse", "ask", "--kit", str(kit), "--engine", "numpy"]
        self.child = subprocess.Popen(
            command, stdin=inside, stdout=inside, stderr=inside, env=os.environ | environment, start_new_session=True
        )
        os.close(inside)
        self.shown = ""

    def wait_for(self, words: str) -> None:
        end = time.monotonic() + 60
        while words not in self.shown:
            assert time.monotonic() < end, self.shown
            if not select.select([self._handle], [], [], 1)[0]:
                continue
            try:
                self.shown += os.read(self._handle, 4096).decode("utf-8", "replace")
            except OSError:  # the other side has gone
                break
        assert words in self.shown, self.shown
        self.shown = self.shown.split(words, 1)[1]

    def type(self, keys: bytes) -> None:
        os.write(self._handle, keys)

    def interrupt(self) -> None:
        """Ctrl-C, again if nothing happens: Python does not see one between its prompt and its wait for a line."""
        os.kill(self.child.pid, signal.SIGINT)
        while not select.select([self._handle], [], [], 10)[0]:
            os.kill(self.child.pid, signal.SIGINT)

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        os.close(self._handle)


@pytest.fixture
def terminal(tiny_kit: Path, home: Path) -> Iterator[Terminal]:
    opened = Terminal(tiny_kit, LANG="C.UTF-8", LC_ALL="C.UTF-8", TERM="xterm", PYTHONUTF8="1")
    yield opened
    opened.close()


def test_accents_can_be_typed_and_ctrl_d_leaves(terminal: Terminal) -> None:
    terminal.wait_for("1. Which picture?")
    terminal.wait_for("> ")
    terminal.type(b"1\n")
    terminal.wait_for("2. Type the note")
    terminal.wait_for("> ")
    terminal.type("Größe 8 mm, पुराना\n\n".encode())
    terminal.wait_for("3. Your number")
    terminal.wait_for("> ")
    terminal.type("Fall Ä\n".encode())
    terminal.wait_for("Stored as number 1.")
    terminal.wait_for("q: leave ")
    terminal.type(b"\x04")
    terminal.wait_for("Goodbye.")
    assert terminal.child.wait(60) == 0
    assert stored()[0].case == "Fall Ä"


def test_ctrl_c_at_a_question_leaves(terminal: Terminal) -> None:
    terminal.wait_for("q: leave")
    terminal.wait_for("> ")
    terminal.interrupt()
    terminal.wait_for("Goodbye.")
    assert terminal.child.wait(60) == 0
    assert "Traceback" not in terminal.shown
