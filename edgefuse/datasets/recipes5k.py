"""Recipes5k: pictures of dishes with their ingredients. For comparing gaps."""

from __future__ import annotations

from pathlib import Path

from edgefuse.datasets.adapter import Adapter
from edgefuse.datasets.csv_file import read_text
from edgefuse.datasets.sample import Sample
from edgefuse.datasets.template import Template
from edgefuse_runtimes.errors import BadInput

PARTS = ("train", "val", "test")
INGREDIENTS = "annotations/ingredients_Recipes5k.txt"


def read(root: Path, template: Template) -> list[Sample]:
    """The samples of a folder with `annotations` and `images`.

    `annotations/train_images.txt` names a picture a line, `train_labels.txt` the line, from 0, of `INGREDIENTS` with
    the ingredients of its recipe.

    Raises:
        BadInput: a file is missing or not UTF-8, the two have not as many lines, or a number names no line.
    """
    recipes = read_text(root / INGREDIENTS).splitlines()
    return [sample for part in PARTS for sample in _part(root, part, recipes, template)]


def _part(root: Path, part: str, recipes: list[str], template: Template) -> list[Sample]:
    images = read_text(root / "annotations" / f"{part}_images.txt").splitlines()
    path = root / "annotations" / f"{part}_labels.txt"
    lines = read_text(path).splitlines()
    if len(images) != len(lines):
        raise BadInput(f"{path} has {len(lines)} lines, {part}_images.txt {len(images)}; download them again.")
    samples = []
    for number, (image, line) in enumerate(zip(images, lines, strict=True), start=1):
        if not line.strip().isdecimal() or int(line) >= len(recipes):
            raise BadInput(f"Line {number} of {path} is {line!r}, no line of {INGREDIENTS}; download it again.")
        food, name = image.strip().split("/", 1) if "/" in image else ("", image.strip())
        ingredients = ", ".join(word.strip() for word in recipes[int(line)].split(",") if word.strip())
        words = {"ingredients": ingredients, "food": food.replace("_", " ")}
        samples.append(
            Sample(
                f"{food}/{name}", root / "images" / food / name, template.fill(words), food, f"recipe {line.strip()}"
            )
        )
    return samples


ADAPTER = Adapter(
    title="pictures of dishes with their ingredients, for comparing gaps",
    layout=(
        "annotations/ingredients_Recipes5k.txt                 a line a recipe",
        "annotations/train_images.txt, train_labels.txt        a line a picture; val and test likewise",
        "images/<food>/*.jpg",
    ),
    fields={"ingredients": "the recipe's ingredients, with commas between"},
    leaks={"food": "it is the label"},
    template="{ingredients}",
    missing="",
    label="the food, one of 101, which is the picture's folder. No task of the method",
    group="the recipe",
    licence="not stated; recipes and pictures are Yummly's",
    citation="M. Bolaños, A. Ferrà, P. Radeva: Food Ingredients Recognition through Multi-label Learning. ICIAP "
    "Workshops 2017, arXiv:1707.08816",
    comparison=True,
    read=read,
)
