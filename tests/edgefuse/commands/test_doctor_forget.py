"""`edgefuse doctor --forget`: what probes found is forgotten."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse.kits.store import versions_of
from edgefuse_runtimes.machine import cpu_model
from edgefuse_runtimes.verdicts import Record, records, remember

Cli = Callable[..., Any]
Doctor = Callable[..., dict[str, Any]]
States = Callable[[dict[str, Any]], dict[str, dict[str, str]]]
Fake = Callable[..., Path]


FILES = {"image.onnx": "fake", "text.gguf": "llama.cpp"}
"""Files of the kit, and the engine whose verdict on each is remembered."""


def remember_verdicts(kit: Path) -> None:
    """What probes of the kit would leave behind; that they leave such is tested where engines are probed."""
    for file, engine in FILES.items():
        path, library = str((kit / file).resolve()), f"{engine} 1.0"
        record = Record(engine, library, path, "0" * 64, 2, "low", cpu_model(), "3.11.7", True, "", {})
        remember(f"{kit.name}-{file}", record)


@pytest.fixture
def remembered(tiny_kit: Path) -> Path:
    """A kit about which two verdicts are remembered: of `fake` with image.onnx, of llama.cpp with text.gguf."""
    remember_verdicts(tiny_kit)
    assert [record.engine for record in records()] == ["fake", "llama.cpp"]
    return tiny_kit


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (lambda kit: [], []),
        (lambda kit: ["all"], []),
        (lambda kit: ["llama.cpp"], ["fake"]),
        (lambda kit: ["onnxruntime"], ["fake", "llama.cpp"]),
        (lambda kit: [kit], []),
        (lambda kit: [kit / "text.gguf"], ["fake"]),
        (lambda kit: [kit / "golden"], ["fake", "llama.cpp"]),
    ],
)
def test_verdicts_are_forgotten(
    cli: Cli, remembered: Path, words: Callable[[Path], list[str | Path]], left: list[str]
) -> None:
    outcome = cli("doctor", "--forget", *words(remembered))
    assert (outcome.code, outcome.err) == (0, "")
    count = 2 - len(left)
    assert outcome.out.startswith(f"{count} verdict{' is' if count == 1 else 's are'} forgotten; ")
    assert [record.engine for record in records()] == left


def test_verdicts_on_an_installed_kit_are_forgotten_by_its_name(cli: Cli, remembered: Path) -> None:
    cli("kits", "install", remembered, "--allow-unsigned")
    (installed,) = (item.folder for item in versions_of("tiny"))
    remember_verdicts(installed)
    assert cli("doctor", "--forget", "tiny").out.startswith("2 verdicts are forgotten")
    assert {Path(record.file).parent for record in records()} == {remembered.resolve()}


def test_verdicts_of_files_that_are_gone_are_marked_and_can_be_forgotten(
    cli: Cli, doctor: Doctor, remembered: Path, tmp_path: Path
) -> None:
    kit = Path(shutil.copytree(remembered, tmp_path / "moved.kit", copy_function=shutil.copyfile))
    remember_verdicts(kit)
    assert cli("doctor", "--forget", "gone").out.startswith("0 verdicts are forgotten")
    shutil.rmtree(kit)
    page = cli("doctor").out
    assert page.count(" (is gone)") == 2
    assert f"{kit / 'image.onnx'} (is gone)" in page
    left = {one["file"]: one["gone"] for one in doctor()["verdicts"]}
    assert left == {str(folder / name): folder == kit for folder in (remembered, kit) for name in FILES}
    assert cli("doctor", "--forget", "gone").out.startswith("2 verdicts are forgotten")
    assert {record.file for record in records()} == {str(remembered / name) for name in FILES}


def test_what_was_forgotten_can_be_had_as_json(cli: Cli, remembered: Path) -> None:
    outcome = cli("doctor", "--forget", "llama.cpp", "--json")
    (gone,) = json.loads(outcome.out)["forgotten"]
    assert (gone["engine"], gone["file"]) == ("llama.cpp", str((remembered / "text.gguf").resolve()))
