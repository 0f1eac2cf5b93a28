"""`edgefuse export` is ended at any moment: no file under a final name, and the next run goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgefuse.kits.encoders import Encoders

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")
pytest.importorskip("gguf", reason="gguf is not installed (extra export)")

SECONDS = 60

WAITING = """
import sys, time
from edgefuse import cli
from edgefuse_export import text
def export_text_encoders(*_, **__):
    time.sleep(600)
text.export_text_encoders = export_text_encoders
cli.run()
"""
"""An export that never comes to its text encoder."""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def arguments(tiny_image_onnx: Path, tiny_text_gguf: Path, tmp_path: Path) -> list[str]:
    """Of an export to E."""
    sources = ["--image-encoder", str(tiny_image_onnx), "--text-encoder", str(tiny_text_gguf)]
    return ["export", *sources, "--precision", "fp32", "--samples-count", "12", "--output", str(tmp_path / "E")]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a real child; none of them outlives the test."""
    children: list[subprocess.Popen[str]] = []

    def run(*command: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        children.append(child)
        return child

    yield run
    for child in children:
        if child.poll() is None:
            child.kill()
        child.communicate()


def wait_for(path: Path, child: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + SECONDS
    while not path.exists():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.005)


@pytest.fixture
def stopped_after_the_image(arguments: list[str], start: Start, tmp_path: Path) -> Callable[[int], Any]:
    """End a child by a signal when its image encoder is finished; what it left behind."""

    def end(number: int) -> Any:
        child = start("-c", WAITING, *arguments)
        wait_for(tmp_path / ".E.part" / "image.json", child)
        child.send_signal(number)
        _, err = child.communicate(timeout=SECONDS)
        assert [path.name for path in tmp_path.iterdir()] == [".E.part"]
        return child.returncode, err

    return end


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_any_moment_it_leaves_no_final_name_and_is_made_by_the_next_run(
    cli: Callable[..., Any], arguments: list[str], start: Start, tmp_path: Path, seed: int
) -> None:
    for _ in range(3):
        child = start("-m", "edgefuse", *arguments)
        wait_for(tmp_path / ".E.part", child)
        time.sleep(random.Random(seed).uniform(0, 1))
        child.kill()
        child.communicate()
        if child.returncode == -signal.SIGKILL and (tmp_path / "E").exists():
            Encoders.open(tmp_path / "E")  # it had been renamed already, so it is whole
    assert cli(*arguments).code == 0
    Encoders.open(tmp_path / "E")
    assert [path.name for path in tmp_path.iterdir()] == ["E"]


def test_a_finished_encoder_is_taken_over(
    cli: Callable[..., Any], arguments: list[str], stopped_after_the_image: Callable[[int], Any], tmp_path: Path
) -> None:
    stopped_after_the_image(signal.SIGKILL)
    file = tmp_path / ".E.part" / "whole" / "image.onnx"
    before = file.stat()

    outcome = cli(*arguments)
    assert outcome.code == 0, outcome.err
    assert "The image encoder is taken over from a run that was interrupted.\n" in outcome.err
    assert "folding the image encoder" not in outcome.err
    after = (tmp_path / "E" / "image.onnx").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [path.name for path in tmp_path.iterdir()] == ["E"]

    assert cli(*arguments[:-1], tmp_path / "F").code == 0
    names = sorted(path.relative_to(tmp_path / "F") for path in (tmp_path / "F").rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(tmp_path / "E") for path in (tmp_path / "E").rglob("*") if path.is_file())
    for name in names:
        if name.suffix != ".npz":  # a zip file tells the time
            assert (tmp_path / "E" / name).read_bytes() == (tmp_path / "F" / name).read_bytes(), name


def test_both_files_of_a_finished_encoder_are_taken_over(
    cli: Callable[..., Any], arguments: list[str], stopped_after_the_image: Callable[[int], Any], tmp_path: Path
) -> None:
    arguments[arguments.index("fp32")] = "both"
    stopped_after_the_image(signal.SIGKILL)
    files = [tmp_path / ".E.part" / "whole" / name for name in ("image.onnx", "image-fp32.onnx")]
    before = [file.stat().st_ino for file in files]

    outcome = cli(*arguments)
    assert outcome.code == 0, outcome.err
    assert "The image encoder is taken over from a run that was interrupted.\n" in outcome.err
    encoders = Encoders.open(tmp_path / "E")
    assert [(spec.file, spec.precision) for spec in encoders.specs] == [
        ("image.onnx", "int8"),
        ("text.gguf", "q8_0"),
        ("image-fp32.onnx", "fp32"),
    ]
    assert [(tmp_path / "E" / file.name).stat().st_ino for file in files] == before
    assert "nothing to do" in cli(*arguments).err


def test_other_options_do_not_take_it_over(
    cli: Callable[..., Any], arguments: list[str], stopped_after_the_image: Callable[[int], Any], tmp_path: Path
) -> None:
    stopped_after_the_image(signal.SIGKILL)
    outcome = cli(*arguments, "--preprocess", "squash")
    assert outcome.code == 0, outcome.err
    assert "taken over" not in outcome.err
    assert Encoders.open(tmp_path / "E").image.recipe["preprocess"] == "squash"
    assert [path.name for path in tmp_path.iterdir()] == ["E"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_with_130_and_keeps_the_finished_encoder(
    cli: Callable[..., Any], arguments: list[str], stopped_after_the_image: Callable[[int], Any], number: int
) -> None:
    code, err = stopped_after_the_image(number)
    assert code == 130
    assert "edgefuse: interrupted; nothing was left half written." in err
    assert "Traceback" not in err
    assert "taken over" in cli(*arguments).err


def test_a_running_export_is_left_alone(
    cli: Callable[..., Any], arguments: list[str], start: Start, tmp_path: Path
) -> None:
    child = start("-c", WAITING, *arguments)
    wait_for(tmp_path / ".E.part" / "image.json", child)
    assert "is making" in "".join(cli(*arguments).err.splitlines()[-1:])
    assert (tmp_path / ".E.part" / "whole" / "image.onnx").is_file()
    assert child.poll() is None


def test_a_run_that_was_ended_after_its_last_step_is_tidied_up(
    cli: Callable[..., Any], arguments: list[str], tmp_path: Path
) -> None:
    assert cli(*arguments).code == 0
    (tmp_path / ".E.part").mkdir()
    (tmp_path / ".E.part" / "lock").touch()
    (tmp_path / ".E.part" / "text.json").write_text("{}")
    assert "nothing to do" in cli(*arguments).err
    assert [path.name for path in tmp_path.iterdir()] == ["E"]
