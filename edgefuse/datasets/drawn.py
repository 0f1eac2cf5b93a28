"""The drawn example: lesion-like pictures with short notes, drawn by this module. It is not medicine.

It lets every verb be tried without any data. The classes are invented words, nothing in a picture or a note
stands for a finding, and no figure measured on it says anything about medicine.

A class needs both modalities: only the picture tells "lumo" (one spot with a smooth border) from the other
two (a ragged spot with satellites), and only the note tells "pavi" (there for years) from "ziru" (new). So
either modality alone is right in about two thirds of the samples at best, both together in all of them.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgefuse.datasets import table
from edgefuse.datasets.sample import Sample
from edgefuse.datasets.template import Template
from edgefuse.progress import Progress, silent
from edgefuse_runtimes.files import write_bytes

Floats = NDArray[np.float64]
T = TypeVar("T")

CLASSES = ("lumo", "pavi", "ziru")
LICENCE = "Apache-2.0, part of edgefuse (drawn example: not medicine)"
WIDTH, HEIGHT = 300, 225

_SKIN = ((241, 206, 184), (230, 184, 156), (205, 150, 117), (163, 112, 82), (118, 78, 56))
_PIGMENT = ((122, 74, 47), (96, 58, 44), (138, 82, 62), (84, 60, 58), (150, 92, 58))

_FIRST = 1_000_000_000
"""Seeds below it are free for golden samples, which no example may contain."""

_SUBJECT = (("woman", "She", "her"), ("man", "He", "his"))
_SITES = (
    "the left forearm",
    "the right forearm",
    "the upper back",
    "the lower back",
    "the chest",
    "the left shoulder",
    "the neck",
    "the right thigh",
    "the left calf",
    "the belly",
    "the scalp",
)
_OPENINGS = (
    "A {age} year old {person} shows a spot on {site}.",
    "{age} years old, {person}. Spot on {site}.",
    "{person_capital}, aged {age}, comes with a mark on {site}.",
    "Mark on {site} of a {person} of {age} years.",
    "Seen today: {person}, {age} years, a spot on {site}.",
)
_FOR_YEARS = (
    "{they} has had it since childhood and it never changed.",
    "The family remembers it from birth, always the same.",
    "It has been there for decades without any change.",
    "It is an old mark, the same for as long as {they_small} can remember.",
    "Already there at school age, and it looks as it always did.",
    "An old spot, known for more than twenty years and stable.",
    "{they} has lived with this old mark all {their} life.",
    "Unchanged for many years, says the whole family.",
)
_NEW = (
    "It appeared last week and is growing quickly.",
    "{they} first noticed it ten days ago, and it gets bigger.",
    "It is new this month, nothing was there before.",
    "A new spot: it came up suddenly a few days ago.",
    "Two weeks ago the skin there was still clear, now it spreads.",
    "It showed up only recently and has doubled in size since.",
    "Brand new, it was not there at the last visit a month ago.",
    "It started a few days ago and grows every day.",
)
_REMARKS = (
    "{they} works in the fields.",
    "{they} takes no medicine.",
    "{they} walked two hours to the health post.",
    "No fever.",
    "{they} feels well otherwise.",
    "Sleeps and eats well.",
    "{their_capital} sister came along.",
    "Blood pressure is normal.",
    "The picture was taken by daylight.",
    "{they} is worried about it.",
    "{they} fishes for a living.",
    "{they} will come back after the market day.",
)


@dataclass(frozen=True)
class Drawn:
    """One drawn sample. Drawn example: not medicine."""

    image: Image.Image
    """RGB, 300 x 225 pixels."""
    note: str
    label: str
    """One of `CLASSES`."""


def draw(seed: int) -> Drawn:
    """The drawn sample number `seed` (0 or more): the same picture, note and label wherever it is drawn."""
    dice = _Dice(seed)
    label, note = _words(dice)
    return Drawn(_picture(dice, ragged=label != "lumo"), note, label)


def draw_note(seed: int) -> str:
    """The note of `draw(seed)`; its picture, which takes most of the time, is not drawn."""
    return _words(_Dice(seed))[1]


def write_example(folder: Path, count: int = 360, seed: int = 1, progress: Progress = silent) -> Path:
    """Draw `count` samples into `folder`: `images/*.png` and a `table.csv` that any table reader understands.

    Returns:
        The path of `table.csv`; it is written last, so where it stands the example is complete.
    """
    text = io.StringIO(newline="")
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("id", "image", "text", "label", "group"))
    for number in progress("drawing the example", range(count), count):
        drawn = draw(_FIRST + seed * 1_000_000 + number)
        name = f"drawn-{number:04d}"
        picture = io.BytesIO()
        drawn.image.save(picture, format="PNG", compress_level=1)  # noise: more effort gains 7 %
        write_bytes(folder / "images" / f"{name}.png", picture.getvalue())
        lines.writerow((name, f"images/{name}.png", drawn.note, drawn.label, name))
    write_bytes(folder / "table.csv", text.getvalue().encode())
    return folder / "table.csv"


def read(root: Path, template: Template) -> list[Sample]:
    """The samples of a folder that `write_example` filled.

    Raises:
        BadInput: its `table.csv` is missing or malformed.
    """
    return table.ADAPTER.read(root, template)


class _Dice:
    """Chance from PCG64's uniform numbers alone, the part of numpy's generators least likely to change."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.Generator(np.random.PCG64(seed))

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * float(self._generator.random())

    def whole(self, low: int, high: int) -> int:
        return low + int(self._generator.random() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        return bool(self._generator.random() < probability)

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self._generator.random() * len(items))]

    def field(self, rows: int, columns: int) -> Floats:
        """Values (rows, columns), uniform in -1..1."""
        return self._generator.random((rows, columns)) * 2 - 1


def _words(dice: _Dice) -> tuple[str, str]:
    """Label and note."""
    label = dice.pick(CLASSES)
    new = label == "ziru" or (label == "lumo" and dice.chance(0.5))
    return label, _note(dice, new)


def _note(dice: _Dice, new: bool) -> str:
    person, they, their = dice.pick(_SUBJECT)
    words = {
        "age": dice.whole(24, 79),
        "person": person,
        "person_capital": person.capitalize(),
        "site": dice.pick(_SITES),
        "they": they,
        "they_small": they.lower(),
        "their": their,
        "their_capital": their.capitalize(),
    }
    opening, history, remark = (
        dice.pick(_OPENINGS),
        dice.pick(_NEW if new else _FOR_YEARS),
        dice.pick(_REMARKS),
    )
    order = dice.pick(((opening, history, remark), (opening, remark, history), (opening, history)))
    return " ".join(sentence.format(**words) for sentence in order)


def _picture(dice: _Dice, ragged: bool) -> Image.Image:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)  # (H, W) each
    x, y = x - WIDTH / 2, y - HEIGHT / 2
    pixels = _skin(dice, x, y)  # (H, W, 3), 0..255
    pigment = np.array(dice.pick(_PIGMENT), float) * dice.between(0.8, 1.1)  # (3,)
    pigment = np.minimum(pigment, pixels.mean((0, 1)) * 0.54)  # darker than the skin, whatever its tone
    mottling = 1 + _cloud(dice, 31) * 0.24 + _cloud(dice, 13) * 0.12 + _cloud(dice, 5) * 0.08  # (H, W)
    mottled = pigment * mottling[..., None]  # (H, W, 3)
    pixels += (mottled - pixels) * _spots(dice, x, y, ragged)[..., None]
    radius = np.sqrt(x**2 + y**2) / math.hypot(WIDTH / 2, HEIGHT / 2)  # (H, W), 1 in the corners
    shade = 1 - dice.between(0.15, 0.6) * _step((radius - 0.55) / 0.5)  # (H, W)
    for _ in range(dice.whole(0, 6)):
        shade *= 1 - _hair(dice, x, y) * dice.between(0.45, 0.8)
    pixels *= shade[..., None]
    pixels += dice.field(HEIGHT, WIDTH)[..., None] * dice.between(2, 6)
    return Image.fromarray(np.rint(pixels.clip(0, 255)).astype(np.uint8))


def _skin(dice: _Dice, x: Floats, y: Floats) -> Floats:
    """Skin (H, W, 3) with uneven tone, fine grain and light from one side."""
    tone = np.array(dice.pick(_SKIN), float) + dice.between(-8, 8)  # (3,)
    angle = dice.between(0, 2 * math.pi)
    light = (x * math.cos(angle) + y * math.sin(angle)) / WIDTH * dice.between(0.05, 0.18)  # (H, W)
    uneven = _cloud(dice, 70) * 0.05 + _cloud(dice, 18) * 0.025 + _cloud(dice, 4) * 0.02  # (H, W)
    red = _cloud(dice, 45)[..., None] * np.array([5.0, -3.0, -3.0])  # (H, W, 3)
    skin: Floats = tone * (1 + light + uneven)[..., None] + red  # (H, W, 3)
    return skin


def _spots(dice: _Dice, x: Floats, y: Floats, ragged: bool) -> Floats:
    """How much pigment covers each pixel, 0..1, (H, W)."""
    at_x, at_y, size = dice.between(-28, 28), dice.between(-20, 20), dice.between(40, 62)
    if not ragged:
        return _blob(dice, x - at_x, y - at_y, size, waves=(0.05, 0.03, 0.015), soft=dice.between(7, 12))
    waves = (0.12, 0.11, 0.10, 0.10, 0.09, 0.09, 0.08, 0.08, 0.07, 0.06, 0.05, 0.05, 0.04)
    cover = _blob(dice, x - at_x, y - at_y, size, waves, soft=dice.between(3, 6))  # (H, W)
    turn, count = dice.between(0, 2 * math.pi), dice.whole(4, 8)
    for number in range(count):
        angle = turn + 2 * math.pi * (number + dice.between(-0.3, 0.3)) / count
        away = size * dice.between(1.35, 1.75)
        far_x, far_y = at_x + away * math.cos(angle), at_y + away * math.sin(angle)
        satellite = _blob(dice, x - far_x, y - far_y, dice.between(4, 10), (0.1, 0.1), soft=3)
        np.maximum(cover, satellite, out=cover)
    return cover


def _blob(dice: _Dice, x: Floats, y: Floats, size: float, waves: tuple[float, ...], soft: float) -> Floats:
    """A spot around the origin (H, W): an ellipse whose border swings by `waves[k]` with k + 2 periods."""
    turn, stretch = dice.between(0, math.pi), dice.between(1.0, 1.3)
    u = (x * math.cos(turn) + y * math.sin(turn)) / stretch  # (H, W)
    v = (y * math.cos(turn) - x * math.sin(turn)) * stretch  # (H, W)
    near = u**2 + v**2 < (2 * size) ** 2  # (H, W), all that the border can reach; m pixels
    u, v = u[near], v[near]  # (m,) each
    angle, radius = np.arctan2(v, u), np.sqrt(u**2 + v**2)  # (m,) each
    border = np.ones_like(u)  # (m,)
    for periods, swing in enumerate(waves, start=2):
        border += swing * dice.between(0.5, 1) * np.cos(periods * angle + dice.between(0, 2 * math.pi))
    depth = 0.8 + 0.2 * _step(1.15 - radius / size)  # (m,), paler towards the border
    cover = np.zeros_like(x)
    cover[near] = _step((size * border - radius) / soft + 0.5) * depth * dice.between(0.88, 0.98)
    return cover


def _hair(dice: _Dice, x: Floats, y: Floats) -> Floats:
    """One hair (H, W), 0..1: a thin parabola of a chance place, turn and bend."""
    turn, bend = dice.between(0, math.pi), dice.between(-0.003, 0.003)
    x, y = x - dice.between(-110, 110), y - dice.between(-80, 80)
    along, across = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    distance = np.abs(across - bend * along**2) / np.sqrt(1 + (2 * bend * along) ** 2)
    reach = dice.between(50, 130)
    fade = _step((reach - np.abs(along)) / 40)  # (H, W), towards both ends
    return _step(dice.between(0.8, 1.4) * (0.4 + 0.6 * fade) - distance + 0.3) * fade


def _cloud(dice: _Dice, grain: int) -> Floats:
    """Smooth noise (H, W), about -1..1, whose spots are `grain` pixels wide."""
    coarse = dice.field(HEIGHT // grain + 2, WIDTH // grain + 2)
    down, down_part = _grid(HEIGHT, grain)
    right, right_part = _grid(WIDTH, grain)
    rows = coarse[down] * (1 - down_part)[:, None] + coarse[down + 1] * down_part[:, None]  # (H, coarse W)
    return rows[:, right] * (1 - right_part) + rows[:, right + 1] * right_part  # (H, W)


def _grid(length: int, grain: int) -> tuple[NDArray[np.int64], Floats]:
    at = np.arange(length) / grain  # (length,)
    whole = at.astype(np.int64)
    return whole, _step(at - whole)


def _step(value: Floats) -> Floats:
    """0 below 0, 1 above 1, a smooth rise between."""
    inside: Floats = np.clip(value, 0, 1)
    return inside * inside * (3 - 2 * inside)


ADAPTER = replace(
    table.ADAPTER,
    title="lesion-like pictures with notes, drawn by edgefuse to try it with: not medicine",
    layout=("table.csv       as the starter kit writes it", "images/*.png"),
    fields={"text": "the note"},
    label="label: the invented words lumo, pavi and ziru",
    group="each picture alone",
    licence=LICENCE,
    citation="part of edgefuse",
    read=read,
    drawn=True,
)
