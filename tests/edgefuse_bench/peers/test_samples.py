"""Samples to measure, and samples of other groups to calibrate on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefuse.kits.encoders import Encoders
from edgefuse_bench.peers.samples import CALIBRATION, Case, choose, ready, write_calibration
from edgefuse_runtimes.arrays import read_arrays
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import load_image, prepare
from edgefuse_runtimes.tokenizers import open_tokenizer


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """40 samples of 10 groups; the note names the group."""
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    rows = "".join(f"s{k},a.png,note {k} of g{k % 10},x,g{k % 10}\n" for k in range(40))
    (tmp_path / "table.csv").write_text("id,image,text,label,group\n" + rows)
    return tmp_path / "table.csv"


def test_calibration_samples_are_of_other_groups(table: Path) -> None:
    measured, others = choose(3, str(table))
    groups, known = ({case.note.split()[-1] for case in cases} for cases in (others, measured))
    assert len(measured) == 3
    assert groups
    assert not groups & known
    assert [case.note for case in choose(3, str(table))[0]] == [case.note for case in measured]


def test_too_few_groups_are_refused(table: Path) -> None:
    with pytest.raises(BadInput, match="too few groups for 40 samples"):
        choose(40, str(table))


def test_drawn_samples_differ() -> None:
    measured, others = choose(4)
    assert (len(measured), len(others)) == (4, CALIBRATION)
    assert len({np.asarray(case.picture).tobytes() for case in [*measured, *others]}) == 4 + CALIBRATION


def test_samples_are_fed_as_edgefuse_feeds_them(tiny_encoders: Path, tmp_path: Path) -> None:
    encoders = Encoders.open(tiny_encoders)
    case = Case(tiny_encoders / "golden" / "0.png", " a mole\non the back ")
    (picture,) = ready(encoders, "image", [case])
    (note,) = ready(encoders, "text", [case])

    assert encoders.image.preprocess is not None
    np.testing.assert_array_equal(picture.values, prepare(load_image(case.picture), encoders.image.preprocess))
    tokenizer = open_tokenizer(tiny_encoders / encoders.text.file)
    assert note.values.tolist() == tokenizer.encode("a mole on the back")
    assert note.text is not None
    assert bytes(note.text.tolist()) == b"a mole on the back"

    write_calibration(tmp_path / "samples.npz", [picture, note])
    stored = list(read_arrays(tmp_path / "samples.npz", "again").values())
    np.testing.assert_array_equal(stored[0], picture.values)
    np.testing.assert_array_equal(stored[1], note.values)
