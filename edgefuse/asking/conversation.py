"""The questions of `ask`, one sample after the other, until the person leaves."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from edgefuse.answering.class_names import class_names, shown
from edgefuse.answering.classifier import Classifier
from edgefuse.answering.note import given_words, read_note
from edgefuse.answering.prediction import Prediction
from edgefuse.asking.dropped import dropped_path, holds
from edgefuse.asking.pictures import Found, newest_pictures, usual_folders
from edgefuse.asking.words import (
    WIDTH,
    answer_page,
    picture_line,
    pictures_page,
    printable,
    shortened,
    welcome,
    wrapped,
)
from edgefuse.batch.samples import NOTES, PICTURES
from edgefuse.progress import ticking
from edgefuse.results.storing import Storing
from edgefuse_runtimes.closing import Closing
from edgefuse_runtimes.errors import DoesNotFit, EdgefuseError

A_PAGE = 8
"""Pictures that are shown at once."""
LEAVE = ("q", "quit", "exit")


class Leave(Exception):
    """The person has had enough."""


@dataclass(frozen=True)
class Sample:
    """What a person asks about."""

    picture: Path | None
    note: str | None
    note_file: str | None
    remarks: list[str]
    """About reading the note."""
    case: str | None


def converse(open_classifier: Callable[[bool], Classifier], storing: Storing, language: str | None = None) -> None:
    """Ask for samples and answer them until the person leaves.

    Whatever is wrong with one sample is said, and the next question comes.

    Args:
        open_classifier: opens the kit; its argument is whether encoders stay in memory for the next sample.
        storing: where answers go.
        language: in which classes are named, see `class_names`.

    Raises:
        BadInput: the kit cannot be used.
    """
    with Answering(open_classifier, language) as answering:
        say(welcome(answering.kit_name, [*answering.names.values()], refers=answering.refers))
        try:
            while True:
                answer(answering, ask_sample(), storing)
                question("Enter: next picture   q: leave")
        except (Leave, click.Abort, KeyboardInterrupt):
            say(["", "Goodbye."])


class Answering(Closing):
    """The classifier, which is opened again where an answer was interrupted or did not fit beside another encoder."""

    def __init__(self, open_classifier: Callable[[bool], Classifier], language: str | None) -> None:
        self._open, self._keep_open = open_classifier, True
        self._classifier: Classifier | None = open_classifier(True)
        kit = self._classifier.kit
        self.kit_name, self.drawn = f"{kit.name} {kit.version}", kit.drawn
        self.names = class_names(kit, language, os.environ)
        self.refers = kit.head.referral is not None

    def predict(self, picture: Path | None, note: str | None) -> Prediction:
        """The answer, see `Classifier.predict`."""
        try:
            return self._now().predict(picture, note)
        except DoesNotFit:
            if not self._keep_open:
                raise
            self.close()
            self._keep_open = False
            return self._now().predict(picture, note)
        except KeyboardInterrupt:
            self.close()  # Ctrl-C ended the engines' processes, too
            raise

    def _now(self) -> Classifier:
        if self._classifier is None:
            self._classifier = self._open(self._keep_open)
        return self._classifier

    def close(self) -> None:
        """Let the encoders go."""
        if self._classifier is not None:
            self._classifier.close()
        self._classifier = None


def ask_sample() -> Sample:
    """Picture, note and case of one sample, of which picture or note is there."""
    while True:
        picture = ask_picture()
        say([picture_line(picture)])
        note, note_file, remarks = ask_note(needed=picture is None)
        if picture is not None or note is not None:
            return Sample(picture, note, note_file, remarks, ask_case())
        say(["Without a picture there must be a note."])


def ask_picture() -> Path | None:
    """The picture that the person chooses; None: there is none."""
    pictures = newest_pictures(usual_folders())
    first = 0
    while True:
        shown = pictures[first : first + A_PAGE]
        more = len(pictures) > first + A_PAGE
        heading = "Which picture? The newest are:" if shown else "Which picture?"
        say(["", click.style(f"1. {heading}", bold=True), *pictures_page(shown, first + 1)])
        choices = [
            *(["Type a number."] if shown else []),
            "Drag a picture into this window and press Enter, or type its path.",
            f"n: no picture, only a note{'   m: older pictures' if more else ''}   q: leave",
        ]
        say(choices)
        words = question(">")
        if words.lower() == "n":
            return None
        if words.lower() == "m" and more:
            first += A_PAGE
        elif not words:
            first = 0
            pictures = newest_pictures(usual_folders())  # a stick was plugged in meanwhile
        else:
            chosen = _chosen(words, pictures)
            if chosen is not None:
                return chosen


def _chosen(words: str, pictures: Sequence[Found]) -> Path | None:
    """The picture that is meant by a number or a path; None, with a sentence, where there is none."""
    if words.isdecimal() and not holds(Path(words).exists):
        if len(words) < 6 and 1 <= int(words) <= len(pictures):
            return pictures[int(words) - 1].path
        say([f"There is no number {shortened(words, 20)}."])
        return None
    path = dropped_path(words)
    if holds(path.is_file):
        return path
    kind = (
        "a folder; choose one picture in it"
        if holds(path.is_dir)
        else "not there; check the path, or drag the file here"
    )
    say(wrapped(f"{shortened(str(path), 3 * WIDTH)} is {kind}."))
    return None


def ask_note(*, needed: bool) -> tuple[str | None, str | None, list[str]]:
    """The note's words, the file they are from, and remarks about reading it; None where there is no note."""
    say(["", click.style("2. Type the note: what is known about it. An empty line ends it.", bold=True)])
    say([f"{'' if needed else 'Enter at once: no note.   '}A text file can be dragged here instead."])
    lines: list[str] = []
    while line := question(">" if not lines else " ", leaves=not lines):
        path = dropped_path(line)
        if not lines and path.suffix.lower() in PICTURES and holds(path.is_file):
            say(["That is a picture. Here the note is wanted, in words."])
            continue
        if not lines and path.suffix.lower() in NOTES and holds(path.is_file):
            try:
                words, remarks = read_note(str(path))
            except EdgefuseError as error:
                say(wrapped(str(error)))
                continue
            return words, str(path), remarks
        lines.append(line)
    words, remarks = given_words("\n".join(lines))
    return (words if lines else None), None, remarks


def ask_case() -> str | None:
    """What the person calls the case."""
    say(["", click.style("3. Your number for this case, if you use one. No names. Enter: none.", bold=True)])
    return question(">") or None


def answer(answering: Answering, sample: Sample, storing: Storing) -> None:
    """Answer, store and tell; or say why there is no answer."""
    say(["", "Working. The first answer takes longest. Ctrl-C stops it."])
    given = storing.given(sample.picture, sample.note, sample.note_file)
    complaints = storing.not_stored
    try:
        with ticking("working"):
            prediction = answering.predict(sample.picture, sample.note)
    except KeyboardInterrupt:
        say(["", "Stopped; nothing was stored."])
        return
    except (EdgefuseError, OSError) as error:  # also where a stick with the kit was pulled out
        say(["", *wrapped(f"There is no answer: {error}")])
        return
    except MemoryError:
        say(["", *wrapped("There is no answer: there is too little memory. Close other programs and try again.")])
        return
    prediction = dataclasses.replace(prediction, notes=sample.remarks + prediction.notes)
    prediction = storing.store(prediction, given, sample.case)
    say(answer_page(shown(prediction, answering.names), drawn=answering.drawn))
    if storing.not_stored > complaints:
        say([click.style("\n".join(wrapped(f"WRITE THE ANSWER DOWN. {storing.complaint}")), fg="red", bold=True)])


def question(prompt: str, *, leaves: bool = True) -> str:
    """What the person types, without blanks around.

    Raises:
        Leave: that is q, and leaves.
        click.Abort: Ctrl-C or Ctrl-D.
    """
    words = str(click.prompt(prompt, default="", show_default=False, prompt_suffix=" ")).strip()
    if leaves and words.lower() in LEAVE:
        raise Leave
    return words


def say(lines: Sequence[str]) -> None:
    """Print lines as far as the terminal can show them."""
    click.echo(printable(lines, sys.stdout.encoding or "ascii"))
