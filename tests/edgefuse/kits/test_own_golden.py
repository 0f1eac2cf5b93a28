"""Golden samples of one's own take the place of drawn ones, with consent and licence, and as pixels alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgefuse.answering.classifier import Classifier
from edgefuse.kits.golden import COUNT, FILES
from edgefuse.kits.kit import Kit
from edgefuse.verification.replay import replay

STATED = ("--golden-consent", "all eight signed form 3", "--golden-licence", "for this kit alone")


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """Eight photographs, wide and turned by EXIF, with their notes."""
    folder, rng = tmp_path / "samples", np.random.default_rng(0)
    folder.mkdir()
    for number in range(COUNT):
        picture = Image.fromarray(rng.integers(0, 255, (300, 900, 3), np.uint8))
        exif = Image.Exif()
        exif[274], exif[271] = 6, "the maker of the camera"  # turned to the right
        picture.save(folder / f"{number}.jpg", exif=exif, comment=b"the name of a person")
        (folder / f"{number}.txt").write_text(f"  Age: {number} years.\nSex: female.\n\n")
    return folder


@pytest.fixture
def words(tiny_encoders: Path, tiny_workshop: Path) -> tuple[Path | str, ...]:
    return ("pack", "--encoders", tiny_encoders, "--head", tiny_workshop / "head", "--name", "own", "--output")


@pytest.fixture
def pack(cli: Callable[..., Any], words: tuple[Path | str, ...], samples: Path) -> Callable[..., Any]:
    def run(output: Path, *options: str) -> Any:
        return cli(*words, output, "--golden", samples, *options)

    return run


def test_they_are_replayed_as_drawn_ones_are(pack: Callable[..., Any], tmp_path: Path) -> None:
    assert pack(tmp_path / "kit", *STATED).code == 0
    kit = Kit.open(tmp_path / "kit")
    kit.verify()
    kit.require_complete()
    for run in replay(kit, threads=1):
        assert run.is_right, run
        if run.engine == "numpy":
            assert run.cosine == pytest.approx(1, abs=1e-6)
    with Classifier.open(kit.folder, engine="numpy", cache=False) as classifier:
        for sample in kit.manifest["golden"]:
            answer = classifier.predict(kit.file(sample["image"]), kit.file(sample["text"]).read_text())
            assert list(answer.probabilities.values()) == pytest.approx(sample["probabilities"], abs=1e-4)


def test_a_picture_is_made_small_and_upright_and_tells_nothing_but_its_pixels(
    pack: Callable[..., Any], samples: Path, tmp_path: Path
) -> None:
    assert pack(tmp_path / "kit", *STATED).code == 0
    with Image.open(tmp_path / "kit" / "golden" / "0.png") as picture:
        assert (picture.size, picture.mode, picture.info) == ((256, 768), "RGB", {})
    for path in (tmp_path / "kit").rglob("*"):
        assert path.is_dir() or not any(words in path.read_bytes() for words in (b"camera", b"name of a person"))
    assert {path.name for path in tmp_path.iterdir()} == {"samples", "kit"}


KILLED = """
import os, signal
from edgefuse.cli import run
from edgefuse.kits import packing

packing.write_kit = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
run()
"""


@pytest.mark.parametrize("goes_on", [True, False])
def test_pictures_that_a_killed_run_left_go_away_with_the_next_one(
    cli: Callable[..., Any],
    words: tuple[Path | str, ...],
    samples: Path,
    unseen_table: Path,
    tmp_path: Path,
    goes_on: bool,
) -> None:
    place, elsewhere = tmp_path / "place", tmp_path / "elsewhere"
    elsewhere.mkdir()
    labelled = ("--evaluation-samples", unseen_table, "--evaluation-consent", "all", "--evaluation-licence", "none")
    given = ("--golden", samples, *STATED, *labelled)
    count = COUNT + len(unseen_table.read_text().splitlines()) - 1
    command = [sys.executable, "-c", KILLED, *words, place / "kit", *given]
    done = subprocess.run(command, env=os.environ | {"TMPDIR": str(elsewhere)}, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(list(place.rglob("*.png"))) == count
    assert list(elsewhere.iterdir()) == []
    assert cli(*words, place / "kit", *(given if goes_on else ())).code == 0
    assert list(place.iterdir()) == [place / "kit"]


def test_the_card_says_who_agreed(cli: Callable[..., Any], pack: Callable[..., Any], tmp_path: Path) -> None:
    assert pack(tmp_path / "kit", *STATED).code == 0
    line = "golden samples: for this kit alone; consent: all eight signed form 3"
    assert line in cli("kits", "show", tmp_path / "kit").out


def test_a_thin_kit_carries_them_since_no_device_has_them(
    cli: Callable[..., Any], pack: Callable[..., Any], tiny_kit: Path, tmp_path: Path
) -> None:
    assert pack(tmp_path / "thin", *STATED, "--thin").code == 0
    there = {path.relative_to(tmp_path / "thin").as_posix() for path in (tmp_path / "thin").rglob("*.*")}
    assert there == {"kit.json", "head.npz", *FILES}
    assert cli("kits", "install", shutil.copytree(tiny_kit, tmp_path / "first"), "--allow-unsigned").code == 0
    assert cli("kits", "install", tmp_path / "thin", "--allow-unsigned").code == 0


@pytest.mark.parametrize("stated", [(), STATED[:2], STATED[2:]])
def test_without_consent_and_licence_none_is_taken(
    pack: Callable[..., Any], tmp_path: Path, stated: tuple[str, ...]
) -> None:
    done = pack(tmp_path / "kit", *stated)
    assert (done.code, "--golden needs --golden-consent and --golden-licence" in done.err) == (2, True)
    assert not (tmp_path / "kit").exists()


def test_too_few_or_a_missing_note_is_a_sentence(pack: Callable[..., Any], samples: Path, tmp_path: Path) -> None:
    (samples / "3.txt").unlink()
    assert "has no note for 3.jpg; write it into a text file" in pack(tmp_path / "kit", *STATED).refusal
    (samples / "3.jpg").unlink()
    assert f"has 7 pictures; give {COUNT} pictures, each with its note" in pack(tmp_path / "kit", *STATED).refusal
    assert not (tmp_path / "kit").exists()


def test_a_text_without_a_picture_is_told_apart_from_too_few(
    pack: Callable[..., Any], samples: Path, tmp_path: Path
) -> None:
    (samples / "README.txt").write_text("Who they are.\n")
    sentence = f"{samples} has text files without a picture of the same name; take them out, or rename them."
    assert pack(tmp_path / "kit", *STATED).refusal == sentence


def test_what_is_no_folder_is_refused(cli: Callable[..., Any], words: tuple[Path | str, ...], tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("image,text\n" + "".join(f"{number}.jpg,a note\n" for number in range(COUNT)))
    for given in (table, tmp_path / "missing"):
        sentence = f"{given} is no folder; give one with {COUNT} pictures, each with its note, as 1.jpg and 1.txt."
        assert cli(*words, tmp_path / "kit", "--golden", given, *STATED).refusal == sentence
