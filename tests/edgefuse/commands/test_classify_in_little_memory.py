"""`edgefuse classify` with the real starter kit inside a control group with a memory limit and no swap."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytestmark = pytest.mark.real

MIB = 2**20
PHOTO = (4000, 3000)
"""Twelve megapixels."""


@pytest.fixture(scope="module")
def kit(starter_kit: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((starter_kit / "kit.json").read_text())
    return manifest


@pytest.fixture(scope="module")
def small(starter_kit: Path, kit: dict[str, Any]) -> Path:
    return starter_kit / str(kit["golden"][0]["image"])


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory, small: Path) -> Path:
    """The drawn golden picture as a photograph of 12 megapixels."""
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    Image.open(small).convert("RGB").resize(PHOTO, Image.Resampling.BICUBIC).save(path, quality=92)
    return path


@pytest.fixture
def classify_within(
    memory_group: Callable[[int], Any], starter_kit: Path, kit: dict[str, Any]
) -> Callable[..., tuple[int, str, str]]:
    """Exit code, stdout and stderr of `edgefuse classify` in so many MiB, probes and their children included."""

    def run(mib: int, picture: Path, *options: str) -> tuple[int, str, str]:
        for name in kit["files"]:  # pages that are cached already would be charged to whoever read them first
            with (starter_kit / name).open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        note = starter_kit / kit["golden"][0]["text"]
        command = [sys.executable, "-m", "edgefuse", "classify", picture, "--text", note, "--kit", starter_kit]
        with memory_group(mib * MIB) as run_inside:
            done = run_inside([*command, "--json", *options], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    return run


def native(kit: dict[str, Any]) -> dict[str, str]:
    """What runs each encoder under "auto"."""
    modules = {"onnx": ("onnxruntime", "onnxruntime"), "gguf": ("llama_cpp", "llama.cpp")}
    found = {}
    for modality in ("image", "text"):
        module, name = modules[kit["encoders"][modality]["format"]]
        found[modality] = name if util.find_spec(module) else "numpy"
    return found


@pytest.mark.parametrize("engine", ["auto", "numpy"])
@pytest.mark.parametrize(("mib", "options"), [(512, []), (320, ["--memory", "low"])])
@pytest.mark.parametrize("size", ["small", "photo"])
def test_the_whole_way_fits(
    request: pytest.FixtureRequest,
    kit: dict[str, Any],
    classify_within: Callable[..., tuple[int, str, str]],
    size: str,
    mib: int,
    options: list[str],
    engine: str,
) -> None:
    code, out, err = classify_within(mib, request.getfixturevalue(size), "--engine", engine, *options)

    assert code == 0, err
    answer = json.loads(out)
    expected = dict(zip(kit["classes"], kit["golden"][0]["probabilities"], strict=True))
    assert answer["label"] == max(expected, key=expected.__getitem__)
    assert answer["engines"] == (native(kit) if engine == "auto" else {"image": "numpy", "text": "numpy"})
    assert answer["notes"] == []


def test_what_does_not_fit_is_refused_before_it_is_loaded(
    small: Path, classify_within: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, err = classify_within(64, small)

    assert (code, out) == (7, "")
    assert err.startswith("edgefuse: The text encoder of the kit starter needs ")
    assert "MiB are available (the limit of 64 MiB in /sys/fs/cgroup" in err
    assert "what helps: " in err
    assert "a kit with a smaller text encoder" in err
    assert err.count("\n") == 1


def test_a_photo_is_decoded_smaller_where_only_that_fits_and_numpy_takes_over(
    tmp_path: Path, photo: Path, kit: dict[str, Any], classify_within: Callable[..., tuple[int, str, str]]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8  # so that two copies of it are needed
    turned = tmp_path / "turned.jpg"
    Image.open(photo).transpose(Image.Transpose.ROTATE_270).save(turned, quality=92, exif=exif)

    code, out, err = classify_within(128, turned)

    assert code == 0, err
    answer = json.loads(out)
    assert answer["label"] == kit["classes"][max(range(3), key=kit["golden"][0]["probabilities"].__getitem__)]
    assert answer["notes"][0].startswith("The picture of 12 megapixels was decoded at 1/2 of its width and height")
    assert answer["engines"] == {"image": "numpy", "text": "numpy"}
    instead = [note for note in answer["notes"] if note.endswith("; numpy runs it instead.")]
    assert [note.split()[0] for note in instead] == [
        name for name in (native(kit)["text"], native(kit)["image"]) if name != "numpy"
    ]
