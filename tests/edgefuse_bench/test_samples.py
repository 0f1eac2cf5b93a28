"""What is asked: golden samples, or pictures and notes of one's own, with labels where there are some."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgefuse.kits.kit import Kit
from edgefuse_bench.order import Sample
from edgefuse_bench.samples import golden_samples, kit_samples, own_samples
from edgefuse_runtimes.errors import BadInput


@pytest.fixture
def kit(tiny_kit: Path) -> Kit:
    return Kit.open(tiny_kit)


def test_golden_samples_are_the_kits_and_drawn(kit: Kit) -> None:
    found = golden_samples(kit)

    assert (len(found.asked), found.source, found.drawn, found.labels) == (8, "golden", True, ())
    assert found.asked[3] == Sample(str(kit.file("golden/3.png")), kit.file("golden/3.txt").read_text())


@pytest.mark.parametrize("learned", ["drawn", "real"])
def test_golden_samples_that_were_given_are_not_drawn(kit: Kit, learned: str) -> None:
    """To a head that learned from drawn ones every answer means nothing all the same."""
    dataset = kit.manifest["dataset"] | {"drawn": learned == "drawn"}
    manifest = kit.manifest | {"dataset": dataset}
    assert golden_samples(Kit(kit.folder, manifest)).drawn
    given = manifest | {"golden_source": {"consent": "all", "licence": "none"}}
    assert golden_samples(Kit(kit.folder, given)).drawn is (learned == "drawn")


def test_evaluation_samples_come_before_golden_ones(kit: Kit, labelled_kit: Path) -> None:
    assert kit_samples(kit) == golden_samples(kit)
    labelled = Kit.open(labelled_kit)

    found = kit_samples(labelled)

    assert (found.source, found.drawn) == ("evaluation", True)  # for what its head learned is drawn
    assert found.labels == tuple(sample["label"] for sample in labelled.evaluation_samples)
    note = labelled.file("evaluation/0001.txt").read_text()
    assert found.asked[0] == Sample(str(labelled.file("evaluation/0001.png")), note)
    real = Kit(labelled.folder, labelled.manifest | {"dataset": labelled.manifest["dataset"] | {"drawn": False}})
    assert kit_samples(real).drawn is False


def test_folders_named_as_classes_are_labels(kit: Kit, tmp_path: Path) -> None:
    for name in ("lumo/1", "lumo/2", "ziru/1"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(kit.file("golden/0.png"), tmp_path / f"{name}.png")
    (tmp_path / "lumo" / "2.txt").write_text("a note")

    found = own_samples(tmp_path, kit)

    assert (found.source, found.drawn) == ("folder", False)
    assert found.labels == ("lumo", "lumo", "ziru")
    assert [sample.text for sample in found.asked] == [None, "a note", None]


def test_other_folders_are_no_labels(kit: Kit, tmp_path: Path) -> None:
    for name in ("lumo/1", "monday/2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(kit.file("golden/0.png"), tmp_path / f"{name}.png")

    assert own_samples(tmp_path, kit).labels == ()


def test_a_table_may_have_labels_for_some_rows(kit: Kit, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,text,label\n,a note,pavi\nx.png,,\n,another,lumo\n")

    found = own_samples(tmp_path / "t.csv", kit)

    assert found.labels == ("pavi", None, "lumo")
    assert found.asked[1] == Sample(str(tmp_path / "x.png"), None)


def test_a_note_that_is_not_utf_8_is_said_on_the_screen_alone(kit: Kit, tmp_path: Path) -> None:
    shutil.copyfile(kit.file("golden/0.png"), tmp_path / "1.png")
    (tmp_path / "1.txt").write_bytes(b"caf\xe9")

    found = own_samples(tmp_path, kit)

    assert found.asked[0].text == "caf\ufffd"
    assert "is not UTF-8" in found.remarks[0]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "130",
            None,
            "--samples 130 is neither a folder nor a table ending in .csv (the number of queries is --queries",
        ),
        ("x.txt", "x", "is neither a folder nor a table ending in .csv; name one"),
        ("t.csv", "text,label\na note,mole\n", "Row 1 of"),
        ("t.csv", "text,label\na note,mole\n", "has the label 'mole', which is no class of the kit (lumo, pavi, ziru)"),
    ],
)
def test_what_cannot_be_asked_is_refused(kit: Kit, tmp_path, monkeypatch, name, content, sentence) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path(name).write_text(content)

    with pytest.raises(BadInput) as refused:
        own_samples(Path(name), kit)

    assert sentence in str(refused.value)
