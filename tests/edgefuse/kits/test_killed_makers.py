"""`edgefuse export` and `edgefuse pack` are killed at random moments: whole or absent, and the same when run again.

$EDGEFUSE_EXPORT_KILLS sets how often in all, $EDGEFUSE_SEED at which moments. Each test has the properties "kills" and
"reruns", for `--junitxml`.
"""

from __future__ import annotations

import math
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgefuse.answering.classifier import Classifier
from edgefuse.kits.installing import install
from edgefuse.kits.kit import Kit
from edgefuse_packaging.killing import run_for

for library in ("onnx", "onnxruntime", "gguf", "cryptography"):
    pytest.importorskip(library, reason=f"needs the extra export: {library}")

KILLS = int(os.environ.get("EDGEFUSE_EXPORT_KILLS", "10"))
SEED = int(os.environ.get("EDGEFUSE_SEED", "0"))

BEGIN = """
import importlib, sys

for module in sys.argv.pop(1).split(","):
    importlib.import_module(module)  # or half of all kills would fall into this
print("begun", flush=True)
importlib.import_module("edgefuse.cli").run()
"""


@dataclass(frozen=True)
class Maker:
    """A verb that makes something."""

    words: tuple[str | Path, ...]
    """All but the output."""
    imports: str
    """What is imported before its work begins."""
    evaluation: Path | None = None
    """Made on the way, beside the output."""

    def command(self, output: Path) -> list[str | Path]:
        return [sys.executable, "-c", BEGIN, self.imports, *self.words, "--output", output]

    def run(self, output: Path, seconds: float = 3600) -> float | None:
        """How long it took from the beginning on; None: it was killed."""
        if self.evaluation is not None:
            self.evaluation.unlink(missing_ok=True)
        return run_for(self.command(output), seconds, os.environ, from_first_line=True)


@pytest.fixture
def make_makers(
    tiny_workshop: Path, tiny_encoders: Path, tiny_image_onnx: Path, tiny_text_gguf: Path, make_key: Callable[[], Path]
) -> Callable[[str, Path], Maker]:
    """A maker by its name, which finds what it needs in a folder of its own."""

    def make(name: str, place: Path) -> Maker:
        if name == "export":
            pictures = place / "pictures"
            pictures.mkdir()
            for picture in sorted((tiny_workshop / "drawn" / "images").iterdir())[:16]:
                shutil.copy(picture, pictures)
            sources = ("--image-encoder", tiny_image_onnx, "--text-encoder", tiny_text_gguf)
            few = ("--calibration-pictures", pictures, "--samples-count", "4", "--threads", "1")
            return Maker(("export", *sources, *few), "edgefuse_export.commands.export,onnx,onnxruntime,gguf")
        head = Path(shutil.copytree(tiny_workshop / "head", place / "head"))
        words = ("pack", "--encoders", tiny_encoders, "--head", head, "--name", "made")
        imports = "edgefuse.commands.pack,edgefuse.kits.packing,edgefuse.evaluation.record,edgefuse.trust.keys"
        if name == "signed archive":
            return Maker((*words, "--archive", "--sign", make_key()), imports)
        return Maker(words, imports, head / "evaluation.json")

    return make


def contents(path: Path) -> dict[str, bytes]:
    """All that a file or folder holds."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


def hidden(folder: Path) -> list[Path]:
    return sorted(folder.rglob(".*"))


@pytest.mark.parametrize(("name", "tenths"), [("export", 4), ("folder", 3), ("signed archive", 3)])
def test_what_was_killed_is_whole_or_absent_and_the_rerun_gives_the_same(
    make_makers: Callable[[str, Path], Maker],
    tiny_kit: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    name: str,
    tenths: int,
) -> None:
    maker = make_makers(name, tmp_path)
    length = maker.run(tmp_path / "undisturbed")
    assert length is not None
    expected = contents(tmp_path / "undisturbed")
    kills, reruns, rng = 0, 0, random.Random(f"{SEED} {name}")
    while kills < math.ceil(KILLS * tenths / 10):
        place = tmp_path / "place"
        place.mkdir()
        earlier = Path(shutil.copytree(tiny_kit, place / "earlier.kit"))

        kills += maker.run(place / "made", rng.uniform(0, length)) is None

        assert not (place / "made").exists() or contents(place / "made") == expected
        assert contents(earlier) == contents(tiny_kit)
        with Classifier.open(earlier, engine="numpy", cache=False) as classifier:
            assert classifier.predict(earlier / "golden/0.png", "A new spot.").label

        again = subprocess.run(maker.command(place / "made"), capture_output=True, text=True, check=False)

        reruns += 1
        assert again.returncode == 0, again.stderr
        assert contents(place / "made") == expected
        assert hidden(tmp_path) == []
        shutil.rmtree(place)
    record_property("kills", kills)
    record_property("reruns", reruns)
    if name == "folder":
        Kit.open(tmp_path / "undisturbed").verify()
    elif name == "signed archive":
        Kit.open(install(tmp_path / "undisturbed", allow_unsigned=True).folder).verify()
