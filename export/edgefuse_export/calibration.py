"""Calibration pictures and notes: what an encoder is shown while its weights are rounded."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgefuse.datasets.drawn import draw, draw_note
from edgefuse_export.leaves import draw_leaves
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256
from edgefuse_runtimes.image import prepare, read_picture
from edgefuse_runtimes.spec import Preprocess

COUNT = 64
"""How many pictures are looked at; twice as many were not seen to help."""

LEAST = 16
FIRST_SEED = 3_000_000
"""Of the drawn ones; far from those of any example, test or golden sample."""

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}


def find_pictures(folder: Path) -> list[Path]:
    """The pictures of a folder and the folders in it, by name.

    Raises:
        BadInput: there is no such folder, or it holds fewer than `LEAST` pictures.
    """
    if not folder.is_dir():
        raise BadInput(f"There is no folder {folder}; name a folder of calibration pictures.")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if len(found) < LEAST:
        raise BadInput(f"{folder} holds {len(found)} pictures, and calibration needs {LEAST}; name a folder with more.")
    return found


def calibration_pictures(folder: Path | None, preprocess: Preprocess, count: int = COUNT) -> list[NDArray[np.float32]]:
    """Up to `count` pictures (1, 3, crop, crop), spread evenly over a folder; drawn ones where none is given.

    Those drawn are leaves, which stand for photographs of anything, and lesions of the drawn example, one in four.

    Raises:
        BadInput: the folder or a picture in it cannot be used.
    """
    if folder is None:
        return [prepare(_picture(FIRST_SEED + index), preprocess)[None] for index in range(count)]
    return [read_picture(path, preprocess)[None] for path in _chosen(folder, count)]


def pictures_content(folder: Path) -> str:
    """A hash of the pictures of a folder that calibrate.

    Raises:
        BadInput: there is no such folder, or it holds fewer than `LEAST` pictures.
    """
    return hashlib.sha256("".join(sha256(path) for path in _chosen(folder, COUNT)).encode()).hexdigest()


def _chosen(folder: Path, count: int) -> list[Path]:
    found = find_pictures(folder)
    places = np.unique(np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int))
    return [found[place] for place in places]


def calibration_notes(count: int = COUNT) -> list[str]:
    """Sentences of several kinds and languages, and notes of the drawn example, to fill up to `count`."""
    return [*SENTENCES, *(draw_note(FIRST_SEED + index) for index in range(count))][:count]


@functools.cache
def _picture(seed: int) -> Image.Image:
    return draw(seed).image if seed % 4 == 0 else draw_leaves(seed)


SENTENCES = (
    "Age: 45 years. Sex: male. Localization: trunk.",
    "Age: 70 years. Sex: female. Localization: face.",
    "Age: not reported. Sex: not reported. Localization: lower extremity.",
    "Dark spot on the left forearm, growing since March, itches at night.",
    "Patient reports no pain; the lesion bled once after shaving.",
    "Eye: right. Sex: female. Age: 61. Diabetes for 14 years, on insulin. Optic disc normal.",
    "Mother says the child has had a fever of 39.2 C for three days and does not drink.",
    "Follow-up in two weeks; photograph taken with a phone in daylight.",
    "City: Medellin. Week of 2017-06-11. 12.4 % of people without water at home.",
    "No change since the last visit.",
    "Asymmetric, 7 x 5 mm, two colours, border irregular at 2 o'clock.",
    "Cough for more than two weeks, weight loss, night sweats: refer for a sputum test.",
    "A man riding a wave on top of a surfboard.",
    "Two dogs are lying on a sofa next to a window with red curtains.",
    "A plate of rice, beans and fried plantain on a wooden table.",
    "The street is wet and empty except for a yellow bus.",
    "A close-up of a cat's face, looking straight into the camera.",
    "Several people are standing in line in front of a small white building.",
    "An old train crosses a bridge over a wide brown river.",
    "what colour is the umbrella that the woman on the left is holding?",
    "BREAKING: minister resigns after photo surfaces, sources say",
    "Preheat the oven to 180 degrees, mix flour, sugar and two eggs, bake for 35 minutes.",
    "Lesión pigmentada en la espalda, sin dolor, desde hace seis meses.",
    "Tache brune sur l'avant-bras, 3,5 mm, stable depuis douze ans.",
    "Dunkler Fleck am rechten Oberschenkel, wächst seit etwa acht Wochen.",
    "Mancha escura no rosto, paciente de 58 anos, sem histórico familiar.",
    "Mgonjwa ana homa na kikohozi kwa siku nne.",
    "हाथ पर काला निशान, दो साल से।",
    "بقعة داكنة على الظهر منذ سنة",
    "背部有一个黑色斑点，最近变大了。",
    "BP 150/95, HR 88, T 36.9, SpO2 97 %.",
    "ok",
)
