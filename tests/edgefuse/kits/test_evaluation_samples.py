"""A kit carries labelled samples that its head never saw, with consent and licence, and as pixels and words alone."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from edgefuse.heads import Head, open_head
from edgefuse.kits import evaluation_samples
from edgefuse.kits.encoders import Encoders
from edgefuse.kits.evaluation_samples import EvaluationSamples, write_evaluation_samples
from edgefuse.kits.kit import Kit
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import load_image, prepare
from edgefuse_runtimes.spec import EncoderSpec

STATED = ("--evaluation-consent", "all signed form 4", "--evaluation-licence", "for this kit alone")


@pytest.fixture
def head(tiny_workshop: Path) -> Head:
    return open_head(tiny_workshop / "head")


@pytest.fixture
def image(tiny_encoders: Path) -> EncoderSpec:
    return Encoders.open(tiny_encoders).image


@pytest.fixture
def written(head: Head, image: EncoderSpec, tmp_path: Path) -> Callable[..., EvaluationSamples]:
    """Write the samples of a source into a folder of their own."""

    def write(source: Path, head: Head = head, image: EncoderSpec = image) -> EvaluationSamples:
        (tmp_path / "written").mkdir(exist_ok=True)
        return write_evaluation_samples(source, head, image, tmp_path / "written", consent="all", licence="none")

    return write


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """A table of pictures, all of them one grey square, with these rows."""
    Image.new("RGB", (8, 8), "grey").save(tmp_path / "grey.png")

    def write(*rows: str, header: str = "image,text,label") -> Path:
        (tmp_path / "t.csv").write_text("\n".join([header, *rows]) + "\n")
        return tmp_path / "t.csv"

    return write


@pytest.fixture
def pack(cli: Callable[..., Any], tiny_encoders: Path, tiny_workshop: Path, unseen_table: Path) -> Callable[..., Any]:
    def run(output: Path, *options: str) -> Any:
        made_of = ("--encoders", tiny_encoders, "--head", tiny_workshop / "head", "--name", "labelled")
        return cli("pack", *made_of, "--output", output, "--evaluation-samples", unseen_table, *options)

    return run


def test_a_kit_carries_every_row_with_its_label_in_an_order_of_its_own(labelled_kit: Path, unseen_table: Path) -> None:
    kit = Kit.open(labelled_kit)
    kit.verify()
    kit.require_complete()
    rows = [(row["text"], row["label"]) for row in csv.DictReader(unseen_table.open())]
    carried = [(kit.file(each["text"]).read_text(), each["label"]) for each in kit.evaluation_samples]
    assert Counter(carried) == Counter(rows)
    assert carried != rows
    first = {f"evaluation/{number:04d}.png" for number in range(1, len(rows) + 1)}
    assert {each["image"] for each in kit.evaluation_samples} == first


@pytest.mark.parametrize("resize", ["shortest", "squash"])
@pytest.mark.parametrize("size", [(50, 91), (701, 400)])
def test_to_its_encoder_a_small_picture_is_the_same(
    written: Callable[..., EvaluationSamples],
    image: EncoderSpec,
    tmp_path: Path,
    resize: Literal["shortest", "squash"],
    size: tuple[int, int],
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    (tmp_path / "photos" / "pavi").mkdir(parents=True)
    Image.fromarray(pixels).save(tmp_path / "photos" / "pavi" / "1.png")
    (tmp_path / "photos" / "pavi" / "1.txt").write_text("a note")
    assert image.preprocess is not None
    preprocess = replace(image.preprocess, resize=resize, size=70, crop=64)

    small = written(tmp_path / "photos", image=replace(image, preprocess=preprocess)).files["evaluation/0001.png"]

    before = prepare(load_image(tmp_path / "photos" / "pavi" / "1.png"), preprocess)
    np.testing.assert_array_equal(prepare(load_image(small), preprocess), before)
    with Image.open(small) as picture:
        assert picture.width * picture.height <= min(size[0] * size[1], 70 * 122)


def test_a_picture_is_upright_and_tells_nothing_but_its_pixels(
    written: Callable[..., EvaluationSamples], image: EncoderSpec, tmp_path: Path
) -> None:
    folder, rng = tmp_path / "photos" / "pavi", np.random.default_rng(0)
    folder.mkdir(parents=True)
    exif = Image.Exif()
    exif[274], exif[271] = 6, "the maker of the camera"  # turned to the right
    picture = Image.fromarray(rng.integers(0, 255, (400, 800, 3), np.uint8))
    picture.save(folder / "surname.jpg", exif=exif, comment=b"the name of a person")
    (folder / "surname.txt").write_text("Age: 40 years.")
    assert image.preprocess is not None

    found = written(folder.parent, image=replace(image, preprocess=replace(image.preprocess, size=300)))

    assert found.said["samples"] == [{"image": "evaluation/0001.png", "text": "evaluation/0001.txt", "label": "pavi"}]
    with Image.open(found.files["evaluation/0001.png"]) as small:
        assert (small.size, small.mode, small.info) == ((300, 600), "RGB", {})
    assert found.files["evaluation/0001.txt"].read_bytes() == b"Age: 40 years."
    assert found.remarks == (
        "1 of 1 evaluation samples are no rows of the table that the head was trained on, as far as their ids tell: if "
        "the head saw them under another name, figures on them flatter.",
    )


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (["grey.png,a note,pavi", "grey.png,a note,"], "Row 2 of {} has no label; fill its cell in the column label"),
        (["grey.png,a note,mole"], "Row 1 of {} has the label 'mole', which is no class of the head (lumo, pavi, ziru"),
        (["grey.png,  ,pavi"], "Row 1 of {} has no note, and an evaluation sample needs both; complete it, or take"),
        ([",a note,pavi"], "Row 1 of {} has no picture, and an evaluation sample needs both; complete it, or take"),
        (["t.csv,a note,pavi"], "Row 1 of {}: "),
        (["missing.png,a note,pavi"], "Row 1 of {}: "),
        (["grey.png,a note,pavi"] * 3, "{} has 3 samples, and a kit carries 2 at the most; choose some of them."),
    ],
)
def test_a_sample_that_cannot_be_packed_is_a_sentence(
    written: Callable[..., EvaluationSamples],
    table: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    rows: list[str],
    sentence: str,
) -> None:
    monkeypatch.setattr(evaluation_samples, "MOST", 2)
    source = table(*(f"{number},{row}" for number, row in enumerate(rows)), header="id,image,text,label")
    with pytest.raises(BadInput) as refused:
        written(source)
    assert sentence.format(source) in str(refused.value)


def test_a_folder_needs_classes_and_notes(written: Callable[..., EvaluationSamples], tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (8, 8)).save(photos / "1.png")
    (photos / "1.txt").write_text("a note")
    with pytest.raises(BadInput, match=r"photos/1\.png has no label; put it into a folder named as its class"):
        written(photos)
    (photos / "2.txt").write_text("a note")
    with pytest.raises(BadInput, match="has text files without a picture of the same name; take them out"):
        written(photos)


def test_what_the_head_was_trained_on_is_refused(
    written: Callable[..., EvaluationSamples], table: Callable[..., Path], tiny_workshop: Path, head: Head
) -> None:
    rows = list(csv.DictReader((tiny_workshop / "table" / "rows.csv").open()))
    one_of = {row["split"]: row["id"] for row in rows}
    for part, words in (("train", "training"), ("validation", "validation")):
        source = table(f"{one_of[part]},grey.png,a note,pavi", header="id,image,text,label")
        with pytest.raises(
            BadInput, match=f"Row 1 of .* is the {words} row '{one_of[part]}' of the table that the head"
        ):
            written(source)
        source.unlink()
    gone = replace(head, table_path=tiny_workshop / "gone")
    (remark,) = written(table(f"{one_of['test']},grey.png,a note,pavi", header="id,image,text,label"), gone).remarks
    assert "is not there, so nothing tells whether the head saw the evaluation samples" in remark


def test_a_multilabel_sample_has_several_classes_or_none(
    written: Callable[..., EvaluationSamples], table: Callable[..., Path], head: Head
) -> None:
    rows = ("1,grey.png,a note,lumo | ziru", "2,grey.png,a note,", "3,grey.png,a note,pavi")
    source = table(*rows, header="id,image,text,label")
    found = written(source, replace(head, task="multilabel"))
    assert sorted(sample["label"] for sample in found.said["samples"]) == ["", "lumo|ziru", "pavi"]


def test_the_same_command_again_has_nothing_to_do_and_leaves_nothing(
    cli: Callable[..., Any], pack: Callable[..., Any], tmp_path: Path
) -> None:
    kit = tmp_path / "kit"
    done = pack(kit, *STATED)
    assert (done.code, "evaluation samples are no rows" in done.err) == (0, False)
    before = (kit / "kit.json").read_bytes()
    again = pack(kit, *STATED)
    assert (again.code, again.err.splitlines()[-1].endswith("nothing to do.")) == (0, True)
    assert (kit / "kit.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["kit"]
    count = len(json.loads(before)["evaluation_samples"]["samples"])
    line = f"{count} evaluation samples: for this kit alone; consent: all signed form 4"
    assert line in cli("kits", "show", kit).out


def test_a_thin_kit_carries_them_and_a_device_installs_them(
    cli: Callable[..., Any], pack: Callable[..., Any], tiny_kit: Path, tmp_path: Path
) -> None:
    assert pack(tmp_path / "thin.kit", *STATED, "--thin", "--archive").code == 0
    for kit in (tiny_kit, tmp_path / "thin.kit"):
        assert cli("kits", "install", kit, "--allow-unsigned").code == 0
    (installed,) = Path(os.environ["XDG_DATA_HOME"]).rglob("labelled/1/kit.json")
    kit = Kit.open(installed.parent)
    kit.verify()
    assert len(kit.evaluation_samples) == len(list(installed.parent.glob("evaluation/*.png"))) > 0


@pytest.mark.parametrize("stated", [(), STATED[:2], STATED[2:]])
def test_without_consent_and_licence_none_is_taken(
    pack: Callable[..., Any], tmp_path: Path, stated: tuple[str, ...]
) -> None:
    done = pack(tmp_path / "kit", *stated)
    sentence = "--evaluation-samples needs --evaluation-consent and --evaluation-licence, and they need it; see"
    assert (done.code, sentence in done.err) == (2, True)
