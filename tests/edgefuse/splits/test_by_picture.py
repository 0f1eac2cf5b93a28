import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from edgefuse.splits.by_picture import by_picture
from edgefuse_runtimes.errors import BadInput

# How often each class occurs: BRSET's grades in the proportions of 1,070 of 16,266, and HAM10000's diagnoses.
SIZES = {
    "brset": {"0": 15_196, "1": 227, "2": 321, "3": 86, "4": 436},
    "ham10000": {"nv": 6705, "mel": 1113, "bkl": 1099, "bcc": 514, "akiec": 327, "vasc": 142, "df": 115},
    "satellitebench": {"few cases": 839, "many cases": 721},
}


def labels_of(name: str) -> list[str]:
    labels = [label for label, count in SIZES[name].items() for _ in range(count)]
    np.random.default_rng(0).shuffle(labels)
    return labels


@pytest.mark.parametrize(
    ("name", "share", "sizes"),
    [
        ("brset", 0.2, {"rest": 13_012, "test": 3254}),
        ("ham10000", 0.2, {"rest": 8012, "test": 2003}),
        ("satellitebench", 0.25, {"train": 936, "validation": 312, "test": 312}),
    ],
)
def test_it_is_scikit_learns_split_with_the_papers_sizes(name: str, share: float, sizes: dict[str, int]) -> None:
    labels = np.array(labels_of(name))
    rest, test = train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=42)
    train, validation = train_test_split(rest, test_size=share, stratify=labels[rest], random_state=42)
    parts = np.array(by_picture(labels.tolist(), share))
    assert np.flatnonzero(parts == "test").tolist() == sorted(test)
    assert np.flatnonzero(parts == "validation").tolist() == sorted(validation)
    assert np.flatnonzero(parts == "train").tolist() == sorted(train)
    found = {part: int((parts == part).sum()) for part in ("train", "validation", "test")}
    assert found | {"rest": found["train"] + found["validation"]} == found | {
        "rest": len(labels) - sizes["test"],
        **sizes,
    }


def test_a_class_with_one_row_gets_a_sentence() -> None:
    with pytest.raises(BadInput, match=r"two rows of each class .*'b' has 1 of 21; use the grouped split"):
        by_picture([*["a"] * 20, "b"], 0.2)
