"""What `ask` says, short enough for a terminal of 80 columns and 24 lines."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import click

from edgefuse.answering.prediction import Prediction
from edgefuse.asking.pictures import Found
from edgefuse.results.inputs import on_one_line

WIDTH = 76
SHOWN_CLASSES = 5
SHOWN_REMARKS = 4


def welcome(kit: str, classes: Sequence[str], *, refers: bool) -> list[str]:
    """What this is, and how to leave it; `refers`: whether the kit tells answers that are not sure enough."""
    rule = "Where it says REFER, ask a clinician."
    if not refers:
        rule = "This kit never says REFER, so ask a clinician about every answer."
    return [
        "",
        click.style("edgefuse: a picture and a note, and an answer", bold=True),
        *wrapped(f"Kit {kit}. It knows: {', '.join(classes)}."),
        *wrapped(f"It is no doctor. {rule}"),
        *wrapped("q leaves, at every question."),
    ]


def pictures_page(pictures: Sequence[Found], first: int) -> list[str]:
    """Numbered pictures; `first` is the number of the first one."""
    lines = []
    for number, picture in enumerate(pictures, start=first):
        when = datetime.fromtimestamp(picture.changed).strftime("%Y-%m-%d %H:%M")
        place = shortened(_below_home(picture.path), WIDTH - 4 - 2 - len(when) - 2)
        lines.append(f"{number:>4}  {when}  {place}")
    return lines


def answer_page(prediction: Prediction, *, drawn: bool) -> list[str]:
    """The answer in plain words, what is most important first."""
    rows = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    color = "yellow" if prediction.referred else "green"
    line = click.style("=" * WIDTH, fg=color)
    found = ", ".join(f"{name}  ({_of_100(prediction.probabilities[name])})" for name in prediction.labels)
    lines = ["", line]
    if prediction.referred:
        lines += [click.style("  REFER: ask a clinician", bold=True, fg=color), ""]
        lines += wrapped(f"The likeliest is {found or 'none of the classes'}, but that is not sure enough.", indent=2)
        lines += wrapped(str(prediction.reason), indent=2)
    else:
        lines += [click.style(f"  ANSWER: {found or 'none of the classes'}", bold=True, fg=color)]
    others = [f"{name} {_of_100(chance)}" for name, chance in rows if name not in prediction.labels][:SHOWN_CLASSES]
    lines += wrapped(f"Others: {', '.join(others)}.", indent=2) if others else []
    lines += [line]
    remarks = list(prediction.notes)
    if drawn:
        remarks.insert(0, "This kit was trained on the drawn example: its labels are invented, not medicine.")
    for remark in remarks[:SHOWN_REMARKS]:
        lines += wrapped(f"Note: {on_one_line(remark)}")
    if len(remarks) > SHOWN_REMARKS:
        lines += wrapped(f"There are {len(remarks) - SHOWN_REMARKS} more notes; 'edgefuse results show' has them.")
    if prediction.number is not None:
        lines += [click.style(f"Stored as number {prediction.number}.", bold=True)]
    return lines


def wrapped(words: str, indent: int = 0) -> list[str]:
    """Words on lines that fit."""
    return textwrap.wrap(words, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * indent)


def shortened(path: str, width: int) -> str:
    """The end of a path, which tells more than its beginning."""
    shown = on_one_line(path)
    return shown if len(shown) <= width else "..." + shown[-(width - 3) :]


def printable(lines: Sequence[str], encoding: str) -> str:
    """Lines that a terminal of this encoding can show."""
    return "\n".join(lines).encode(encoding, "backslashreplace").decode(encoding)


def picture_line(path: Path | None) -> str:
    """Which picture was chosen."""
    return "No picture." if path is None else f"Picture: {shortened(_below_home(path), WIDTH - 9)}"


def _below_home(path: Path) -> str:
    """A path as people know it."""
    with suppress(RuntimeError, ValueError):  # no home is known, or it lies elsewhere
        return str(path.relative_to(Path.home()))
    return str(path)


def _of_100(probability: float) -> str:
    """A probability that is never told as certain."""
    if probability >= 0.995:
        return "over 99 of 100"
    return f"{100 * probability:.0f} of 100" if probability >= 0.005 else "under 1 of 100"
