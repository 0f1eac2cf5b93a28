"""The data sets that only serve to compare gaps: COCO-QA, Fakeddit, Recipes5k and COCO's captions."""

from pathlib import Path

import pytest
from PIL import Image

from edgefuse.datasets import ADAPTERS, open_dataset
from edgefuse.datasets.template import template_of
from edgefuse_runtimes.errors import BadInput


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path)


def lines(path: Path, *written: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(written) + "\n", encoding="utf-8")


@pytest.fixture
def cocoqa(tmp_path: Path) -> Path:
    for part, ids in (("train", ("139", "139")), ("test", ("285",))):
        lines(tmp_path / part / "questions.txt", *("what is in the room", "how many people are there")[: len(ids)])
        lines(tmp_path / part / "answers.txt", *("table", "two")[: len(ids)])
        lines(tmp_path / part / "img_ids.txt", *ids)
        lines(tmp_path / part / "types.txt", *("0", "1")[: len(ids)])
    picture(tmp_path / "train2014" / "COCO_train2014_000000000139.jpg")
    picture(tmp_path / "val2014" / "COCO_val2014_000000000285.jpg")
    return tmp_path


def test_a_question_of_coco_qa_and_its_picture(cocoqa: Path) -> None:
    first, second, third = open_dataset("cocoqa", cocoqa).samples
    assert (first.id, first.text, first.label) == ("train-1", "what is in the room", "object")
    assert second.label == "number"
    assert first.group == second.group != third.group
    assert third.image == cocoqa / "val2014" / "COCO_val2014_000000000285.jpg"
    with pytest.raises(BadInput, match="--allow-leak answer"):
        open_dataset("cocoqa", cocoqa, template=template_of("{question} {answer}"))


def test_files_of_coco_qa_that_do_not_fit(cocoqa: Path) -> None:
    lines(cocoqa / "test" / "answers.txt", "table", "two")
    with pytest.raises(BadInput, match=r"different numbers of lines \(questions\.txt 1, answers\.txt 2"):
        open_dataset("cocoqa", cocoqa)
    lines(cocoqa / "test" / "answers.txt", "table")
    lines(cocoqa / "test" / "types.txt", "7")
    with pytest.raises(BadInput, match=r"Line 1 of .*types\.txt is '7', not 0 to 3"):
        open_dataset("cocoqa", cocoqa)


@pytest.fixture
def fakeddit(tmp_path: Path) -> Path:
    header = "clean_title\tid\tlinked_submission_id\thasImage\tsubreddit\t2_way_label"
    lines(
        tmp_path / "multimodal_train.tsv",
        header,
        "my walgreens offbrand, mucinex\tcqe6q\t\tTrue\tmildlyinteresting\t1",
        "the moon landing\tb1\tb0\tTrue\tpsbattle_artwork\t0",
        "no picture\tb2\t\tFalse\tpics\t1",
    )
    lines(tmp_path / "multimodal_test_public.tsv", header, "\tb3\tb0\tTrue\tpsbattle_artwork\t0")
    for name in ("cqe6q", "b1", "b3"):
        picture(tmp_path / "public_image_set" / f"{name}.jpg")
    return tmp_path


def test_a_post_of_fakeddit(fakeddit: Path) -> None:
    first, second, third = open_dataset("fakeddit", fakeddit).samples
    assert (first.text, first.label, first.group) == ("my walgreens offbrand, mucinex", "true", "cqe6q")
    assert (second.label, second.group) == ("fake", "b0")
    assert (third.text, third.group) == ("not recorded", "b0")
    with pytest.raises(BadInput, match="posts were labelled by where they came from"):
        open_dataset("fakeddit", fakeddit, template=template_of("{subreddit}"))


def test_a_folder_of_fakeddit_without_tables(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none of the tables multimodal_train\.tsv"):
        open_dataset("fakeddit", tmp_path)


@pytest.fixture
def recipes5k(tmp_path: Path) -> Path:
    lines(tmp_path / "annotations" / "ingredients_Recipes5k.txt", "flour,eggs, sugar", "apples,,lemon")
    for part, image, line in (
        ("train", "apple_pie/1.jpg", "1"),
        ("val", "waffles/2.jpg", "0"),
        ("test", "waffles/3.jpg", "0"),
    ):
        lines(tmp_path / "annotations" / f"{part}_images.txt", image)
        lines(tmp_path / "annotations" / f"{part}_labels.txt", line)
        picture(tmp_path / "images" / image)
    return tmp_path


def test_a_dish_of_recipes5k_and_its_ingredients(recipes5k: Path) -> None:
    first, second, third = open_dataset("recipes5k", recipes5k).samples
    assert (first.id, first.text, first.label) == ("apple_pie/1.jpg", "apples, lemon", "apple_pie")
    assert second.text == "flour, eggs, sugar"
    assert second.group == third.group


@pytest.mark.parametrize("index", ["2", "²", "-1"])
def test_an_index_of_recipes5k_that_names_no_line(recipes5k: Path, index: str) -> None:
    lines(recipes5k / "annotations" / "val_labels.txt", index)
    with pytest.raises(BadInput, match=rf"Line 1 of .*val_labels\.txt is '{index}', no line of annotations/ingr"):
        open_dataset("recipes5k", recipes5k)


def test_captions_of_coco(tmp_path: Path) -> None:
    lines(tmp_path / "captions.csv", "image_id,caption", "139,A room.", "000000000139,A table.", "000000000285,A bear.")
    for name in ("000000000139", "000000000285"):
        picture(tmp_path / "images" / f"{name}.jpg")
    first, second, third = open_dataset("coco", tmp_path).samples
    assert (first.id, second.id, third.id) == ("000000000139-1", "000000000139-2", "000000000285-1")
    assert first.group == second.group
    assert {sample.label for sample in (first, second, third)} == {"photograph"}


@pytest.mark.shared
def test_the_real_captions_are_read_whole(shared_folder: Path) -> None:
    dataset = open_dataset("coco", shared_folder / "data" / "coco-captions-mini")
    assert (len(dataset.samples), len({sample.group for sample in dataset.samples})) == (765, 153)


def test_these_say_that_they_are_for_comparison_only() -> None:
    found = {name for name, adapter in ADAPTERS.items() if adapter.comparison}
    assert found == {"cocoqa", "fakeddit", "recipes5k", "coco"}
