"""A kit holds what the encoders folder and the head hold, and says where it all comes from."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgefuse.heads import open_head
from edgefuse.kits.encoders import Encoders
from edgefuse.kits.golden import COUNT, golden_vectors
from edgefuse.kits.kit import Kit
from edgefuse.kits.packing import pack, shortened
from edgefuse_runtimes.errors import BadInput


@pytest.fixture
def evaluation(tiny_workshop: Path) -> dict[str, object]:
    return json.loads((tiny_workshop / "head" / "evaluation.json").read_text())


def test_every_file_of_the_encoders_but_their_list_is_in_the_kit(tiny_encoders: Path, tiny_kit: Path) -> None:
    names = {path.relative_to(tiny_encoders).as_posix() for path in tiny_encoders.rglob("*") if path.is_file()}
    kit = Kit.open(tiny_kit)
    assert set(kit.manifest["files"]) == names - {"encoders.json"} | {"head.npz"}
    for name in names - {"encoders.json"}:
        assert kit.file(name).read_bytes() == (tiny_encoders / name).read_bytes()


def test_the_manifest_tells_encoders_head_data_set_and_figures(
    tiny_encoders: Path, tiny_workshop: Path, tiny_kit: Path, evaluation: dict[str, object]
) -> None:
    kit, encoders, head = Kit.open(tiny_kit), Encoders.open(tiny_encoders), open_head(tiny_workshop / "head")
    assert (kit.image, kit.text) == (encoders.image, encoders.text)
    assert kit.head.description() == head.description()
    assert kit.manifest["evaluation"] == shortened(evaluation)
    assert kit.manifest["dataset"]["drawn"] is True
    assert kit.drawn
    assert str(tiny_workshop) not in (tiny_kit / "kit.json").read_text()  # no path of the workshop goes along


def test_the_golden_probabilities_are_the_heads_for_the_golden_vectors(tiny_kit: Path) -> None:
    kit = Kit.open(tiny_kit)
    images, texts = golden_vectors(kit.file, kit.image), golden_vectors(kit.file, kit.text)
    golden = [sample["probabilities"] for sample in kit.manifest["golden"]]
    assert np.shape(golden) == (COUNT, 3)
    np.testing.assert_allclose(golden, kit.head.probabilities(texts, images), atol=1e-6)


def test_packing_twice_gives_the_same_bytes(
    tiny_encoders: Path, tiny_workshop: Path, tmp_path: Path, evaluation: dict[str, object]
) -> None:
    encoders = Encoders.open(tiny_encoders)
    for name in ("a", "b"):
        pack(encoders, tiny_workshop / "head", evaluation, tmp_path / name, name="k", version="1")
    assert (tmp_path / "a" / "kit.json").read_bytes() == (tmp_path / "b" / "kit.json").read_bytes()


@pytest.mark.parametrize("modality", ["image", "text"])
def test_a_head_of_other_encoders_is_refused(
    tiny_encoders: Path, tiny_workshop: Path, tmp_path: Path, evaluation: dict[str, object], modality: str
) -> None:
    encoders = Encoders.open(tiny_encoders)
    other = replace(encoders, **{modality: replace(getattr(encoders, modality), sha256="0" * 64)})
    with pytest.raises(BadInput, match=f"trained on vectors of another {modality} encoder"):
        pack(other, tiny_workshop / "head", evaluation, tmp_path / "kit", name="k", version="1")
    assert list(tmp_path.iterdir()) == []


def test_figures_of_another_head_are_refused(
    tiny_encoders: Path, tiny_workshop: Path, tmp_path: Path, evaluation: dict[str, object]
) -> None:
    other = evaluation | {"head_sha256": "0" * 64}
    with pytest.raises(BadInput, match="is of another head; run 'edgefuse evaluate"):
        pack(Encoders.open(tiny_encoders), tiny_workshop / "head", other, tmp_path / "kit", name="k", version="1")
    assert list(tmp_path.iterdir()) == []


def test_what_else_lies_in_the_encoders_folder_stays_out_of_the_kit(
    tiny_encoders: Path, tiny_workshop: Path, tmp_path: Path, evaluation: dict[str, object]
) -> None:
    folder = Path(shutil.copytree(tiny_encoders, tmp_path / "E"))
    (folder / "golden" / "patient.png").write_bytes(b"a stray photograph")
    kit = pack(Encoders.open(folder), tiny_workshop / "head", evaluation, tmp_path / "kit", name="k", version="1")
    assert "golden/patient.png" not in kit.manifest["files"]
    assert not (kit.folder / "golden" / "patient.png").exists()


def test_a_kit_takes_over_no_times_and_no_curves() -> None:
    evaluation = {"n": 3, "cost": {"fused": 1}, "calibration": {"ece": 0.1, "reliability": [1]}, "subgroups": {}}
    assert shortened(evaluation) == {"n": 3, "calibration": {"ece": 0.1}}
