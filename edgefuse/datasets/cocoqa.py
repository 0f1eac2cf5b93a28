"""COCO-QA: everyday photographs of MS COCO with a question about each. For comparing gaps."""

from __future__ import annotations

from pathlib import Path

from edgefuse.datasets.adapter import Adapter
from edgefuse.datasets.csv_file import read_text
from edgefuse.datasets.sample import Sample
from edgefuse.datasets.template import Template
from edgefuse.datasets.values import picture_in
from edgefuse_runtimes.errors import BadInput

PARTS = ("train", "test")
FILES = ("questions", "answers", "img_ids", "types")
FOLDERS = ("images", "train2014", "val2014", "train2017", "val2017")
KINDS = {"0": "object", "1": "number", "2": "colour", "3": "location"}
"""What is asked for, by the number in types.txt."""


def read(root: Path, template: Template) -> list[Sample]:
    """The samples of a folder with `train` and `test`, each with the four `FILES` of a line a question.

    Raises:
        BadInput: a file is missing or not UTF-8, the four have not as many lines, or a type is none.
    """
    folders = [root / name for name in FOLDERS if (root / name).is_dir()] or [root / FOLDERS[0]]
    return [sample for part in PARTS for sample in _part(root / part, folders, template)]


def _part(folder: Path, folders: list[Path], template: Template) -> list[Sample]:
    columns = [read_text(folder / f"{name}.txt").splitlines() for name in FILES]
    if len({len(column) for column in columns}) > 1:
        counts = ", ".join(f"{name}.txt {len(column)}" for name, column in zip(FILES, columns, strict=True))
        raise BadInput(f"The files of {folder} have different numbers of lines ({counts}); download them again.")
    samples = []
    for number, cells in enumerate(zip(*columns, strict=True), start=1):
        question, answer, image, kind = (cell.strip() for cell in cells)
        if kind not in KINDS:
            raise BadInput(f"Line {number} of {folder / 'types.txt'} is {kind!r}, not 0 to 3; download it again.")
        words = {"question": question, "answer": answer, "kind": KINDS[kind]}
        name = _picture(folders, image)
        samples.append(Sample(f"{folder.name}-{number}", name, template.fill(words), KINDS[kind], image))
    return samples


def _picture(folders: list[Path], image: str) -> Path:
    """Where the picture is: COCO of 2017 calls it by twelve digits, that of 2014 also by its part."""
    number = image.zfill(12)
    for name in (f"{number}.jpg", f"COCO_train2014_{number}.jpg", f"COCO_val2014_{number}.jpg"):
        path = picture_in(folders, name)
        if path.is_file():
            return path
    return picture_in(folders, f"{number}.jpg")


ADAPTER = Adapter(
    title="everyday photographs with a question about each, for comparing gaps",
    layout=(
        "train/questions.txt, answers.txt, img_ids.txt, types.txt     a line a question",
        "test/...                                                     the same",
        "images/*.jpg          the photographs of MS COCO; or train2014/ and val2014/, train2017/ and val2017/",
    ),
    fields={"question": "what is asked about the picture"},
    leaks={"answer": "it tells what kind of thing was asked for", "kind": "it is the label"},
    template="{question}",
    missing="",
    label="what is asked for: object, number, colour or location. No task of the method",
    group="the picture: it may have several questions",
    licence="questions not stated, made of COCO's captions (CC BY 4.0); photographs under their own licences",
    citation="M. Ren, R. Kiros, R. Zemel: Exploring Models and Data for Image Question Answering. NeurIPS 2015, "
    "arXiv:1505.02074",
    comparison=True,
    read=read,
)
