import csv
import hashlib
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from edgefuse.datasets import open_dataset
from edgefuse.datasets.drawn import _FOR_YEARS, _NEW, CLASSES, HEIGHT, WIDTH, Drawn, draw, draw_note, write_example


@pytest.fixture(scope="module")
def samples() -> list[Drawn]:
    return [draw(seed) for seed in range(45)]


def test_the_same_seed_draws_the_same_sample() -> None:
    one, other = draw(7), draw(7)
    assert (one.note, one.label) == (other.note, other.label)
    assert one.image.tobytes() == other.image.tobytes()
    assert draw(8).image.tobytes() != one.image.tobytes()


def test_every_python_and_processor_draws_these_very_samples() -> None:
    # If this fails after a deliberate change of the drawing, write the new values down here.
    drawn = [draw(seed) for seed in range(3)]
    notes = hashlib.sha256("\n".join(d.note + d.label for d in drawn).encode()).hexdigest()
    assert notes[:16] == "4226f993b18eb2e0"
    means = [np.asarray(d.image).reshape(-1, 3).mean(axis=0).round(2).tolist() for d in drawn]
    # A last bit of a cosine may differ between processors; it moves a pixel by one level at most.
    np.testing.assert_allclose(
        means, [[178.82, 130.59, 101.14], [172.72, 124.94, 97.21], [147.56, 101.3, 74.36]], atol=0.02
    )


def test_a_picture_is_rgb_of_the_stated_size_and_a_note_is_plain_sentences() -> None:
    for seed in range(5):
        drawn = draw(seed)
        assert (drawn.image.mode, drawn.image.size) == ("RGB", (WIDTH, HEIGHT))
        assert drawn.note.isascii()
        assert drawn.note.endswith(".")
        assert not re.search(r"[{}\n]", drawn.note)


def test_a_note_is_the_same_without_its_picture(samples: list[Drawn]) -> None:
    assert [draw_note(seed) for seed in range(45)] == [sample.note for sample in samples]


def test_classes_are_about_equally_frequent(samples: list[Drawn]) -> None:
    labels = Counter(sample.label for sample in samples)
    assert set(labels) == set(CLASSES)
    assert max(labels.values()) < 2 * min(labels.values())


def test_only_the_note_tells_pavi_from_ziru_and_it_says_nothing_of_lumo(samples: list[Drawn]) -> None:
    def is_new(note: str) -> bool:
        def fits(sentences: tuple[str, ...]) -> bool:
            return any(max(re.split(r"\{\w+\}", sentence), key=len) in note for sentence in sentences)

        assert fits(_NEW) != fits(_FOR_YEARS), note
        return fits(_NEW)

    seen = {(drawn.label, is_new(drawn.note)) for drawn in samples[:30]}
    assert seen == {("lumo", False), ("lumo", True), ("pavi", False), ("ziru", True)}


def test_the_written_example_is_a_data_set_and_a_plain_table(tmp_path: Path) -> None:
    table = write_example(tmp_path / "example", count=6, seed=3)
    dataset = open_dataset("drawn", tmp_path / "example")
    assert dataset.samples == open_dataset(str(table)).samples
    assert "not medicine" in dataset.licence
    assert [sample.id for sample in dataset.samples] == [f"drawn-{k:04d}" for k in range(6)]
    assert all(sample.image.is_file() for sample in dataset.samples)
    assert len({sample.group for sample in dataset.samples}) == 6
    with table.open(newline="") as file:
        assert next(csv.reader(file)) == ["id", "image", "text", "label", "group"]


def test_examples_of_two_seeds_share_no_picture(tmp_path: Path) -> None:
    write_example(tmp_path / "a", count=3, seed=1)
    write_example(tmp_path / "b", count=3, seed=2)
    pictures = [path.read_bytes() for path in tmp_path.rglob("*.png")]
    assert len(set(pictures)) == 6
