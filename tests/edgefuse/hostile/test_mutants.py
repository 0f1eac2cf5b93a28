"""Kits with seeded damage get an answer or a sentence: no traceback, hang or full memory, nothing written elsewhere.

$EDGEFUSE_MUTANTS says how many; each has its own seed, and those that once found a fault are kept in FOUND.
Each test tells how many it tried by the property "mutants", for `--junitxml`.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

COUNT = int(os.environ.get("EDGEFUSE_MUTANTS", "200"))
TOGETHER = 20
"""Mutants of one test, so that a failure is near its seed and processes can share the work."""
FOUND = [212, 372, 520, 2602]
"""Seeds beyond the first ones whose mutants once found a fault."""


@pytest.fixture(scope="session")
def mutator(load_script: Callable[[str], ModuleType]) -> ModuleType:
    """mutator.py of this folder."""
    return load_script("tests/edgefuse/hostile/mutator.py")


@pytest.mark.parametrize("first", [*range(0, COUNT, TOGETHER), *(seed for seed in FOUND if seed >= COUNT)])
def test_a_mutant_gets_an_answer_or_a_sentence(
    watched: Callable[..., Any],
    mutator: ModuleType,
    tiny_kit: Path,
    wordy_kit: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    first: int,
) -> None:
    seeds = range(first, min(first + TOGETHER, COUNT)) if first < COUNT else range(first, first + 1)
    for seed in seeds:
        rng = random.Random(seed)
        source = rng.choice([tiny_kit, wordy_kit])
        kit = Path(shutil.copytree(source, tmp_path / f"{seed}.kit"))
        done = mutator.mutate(kit, rng)
        picture, engine = source / "golden" / "0.png", "auto" if seed % 20 == 0 else "numpy"
        try:
            watched("classify", picture, "--note", "A new spot.", "--kit", kit, "--engine", engine, "--no-cache")
            watched("kits", "show", kit)
            watched("kits", "install", kit, "--allow-unsigned")
        except BaseException as error:
            error.add_note(f"seed {seed}: {done}")
            raise
        shutil.rmtree(kit)
    record_property("mutants", len(seeds))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "note"])
def test_a_damaged_picture_or_note_gets_an_answer_or_a_sentence(
    watched: Callable[..., Any],
    mutator: ModuleType,
    tiny_kit: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    kind: str,
) -> None:
    picture, note = tiny_kit / "golden" / "0.png", tiny_kit / "golden" / "0.txt"
    whole, damaged = tmp_path / "whole", tmp_path / "damaged"
    if kind == "note":
        whole.write_bytes(note.read_bytes())
    else:
        with Image.open(picture) as image:
            image.convert("RGB").resize((96, 64)).save(whole, kind)
    for seed in range(COUNT // 20):
        damaged.write_bytes(mutator.damaged(whole.read_bytes(), random.Random(seed)))
        given = (picture, "--text", damaged) if kind == "note" else (damaged, "--text", note)
        try:
            watched("classify", *given, "--kit", tiny_kit, "--engine", "numpy", "--no-cache")
        except BaseException as error:
            error.add_note(f"{kind}, seed {seed}")
            raise
    record_property("mutants", COUNT // 20)
