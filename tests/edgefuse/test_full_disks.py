"""Whatever verb the disk fills up under: one sentence, exit code 7, what was there is as before, nothing is half made.

Each verb meets $EDGEFUSE_FULL_DISKS disks of 4 MiB, with less and more room, none of which has enough; each test has
the property "full_disks", for `--junitxml`. The results log, `export`, `starter`, `kits install` and installers have
checks of their own: tests/edgefuse/results/test_full_disk.py, tests/edgefuse_export/commands/test_export_again.py,
tests/edgefuse_export/commands/test_starter.py, tests/edgefuse/kits/test_survival.py,
tests/packaging/test_interrupted_installer.py, tests/packaging/test_making_installers.py.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from small_disks import OnDisk, SmallDisk

from edgefuse.embeddings.table import Table

DISKS = int(os.environ.get("EDGEFUSE_FULL_DISKS", "1"))
EDGEFUSE = [sys.executable, "-m", "edgefuse"]

PACK = "edgefuse pack --encoders {encoders} --head {head} --name made --output {disk}/made.kit"
MEASURE = "edgefuse bench run {kit} --engine numpy --threads 1 --queries 2 --warmup 0 --repeats 1 --json"

AT_ONCE = {
    "embeddings import": "edgefuse embeddings import {csv} --output {disk}/made",
    "embeddings export csv": "edgefuse embeddings export {table} --output {disk}/made.csv",
    "embeddings export npz": "edgefuse embeddings export {table} --output {disk}/made.npz",
    "align": "edgefuse align {table} --output {disk}/made",
    "train": "edgefuse train {table} --fusion early --epochs 2 --output {disk}/made",
    "evaluate": "edgefuse evaluate {disk}/head",
    "pack": PACK,
    "pack an archive": f"{PACK} --archive",
    "pack and sign": f"{PACK} --sign {{key}}",
    "results export csv": "edgefuse results export csv {disk}/made.csv",
    "results export jsonl": "edgefuse results export jsonl {disk}/made.jsonl",
    "kits use": "env EDGEFUSE_HOME={disk}/home edgefuse kits use tiny --version 1",
    "kits rollback": "env EDGEFUSE_HOME={disk}/home edgefuse kits rollback tiny",
    "tune": "edgefuse tune {disk}/tiny.kit --minutes 0.1",
    "bench run": f"{MEASURE} {{disk}}/made.json",
    "bench report html": "edgefuse bench report {bench} -o {disk}/made.html",
    "bench report csv": "edgefuse bench report {bench} -o {disk}/made.csv",
}
"""Verbs whose output is there with their last step."""
STEP_BY_STEP = {
    "extract": "edgefuse extract --dataset drawn --root {drawn} --encoders {encoders} --output {disk}/made",
    "gap": "edgefuse gap {table} --figures {disk}/made",
    "sweep": "edgefuse sweep {table} --fusion early --shifts 3 --seeds 1 --epochs 2 --jobs 1 --output {disk}/made",
    "evaluate with figures": "edgefuse evaluate {disk}/head --figures {disk}/made",
    "study run": "edgefuse study run {study} --output {disk}/made --jobs 1",
    "study report": "edgefuse study report {study} --output {disk}/study",
    "classify a folder": "edgefuse classify {photos} --kit {kit} --no-log --no-cache --output {disk}/made.jsonl",
}
"""Verbs whose finished files stay, and are gone on with or written over."""

BEFORE = {
    "{disk}/head": ["cp -r {head} {disk}"],
    "{disk}/study": ["cp -r {studied} {disk}/study"],
    "{disk}/tiny.kit": ["cp -r {kit} {disk}"],
    "{disk}/home": [
        "env EDGEFUSE_HOME={disk}/home edgefuse kits install {kit} --allow-unsigned",
        "env EDGEFUSE_HOME={disk}/home edgefuse kits install {second} --allow-unsigned",
    ],
}
"""What is done on the disk first for the verbs that name it."""
LONG = {
    "raw": (
        "edgefuse raw {table} --dataset drawn --root {drawn} --fusion early --output {disk}/made.json",
        {
            "edgefuse_export.raw.samples.samples_of": [],
            "edgefuse_export.raw.backbones.open_backbones": [],
            "edgefuse_export.raw.baseline.run": {"schema": 1},
        },
    ),
    "bench peers": (
        "edgefuse bench peers --encoders {encoders} --text any --json {disk}/made.json",
        {"edgefuse_bench.peers.comparison.compare": {"schema": 1}, "edgefuse_bench.peers.page.page": "a page"},
    ),
    "bench peers markdown": (
        "edgefuse bench peers --encoders {encoders} --text any --markdown {disk}/made.md",
        {"edgefuse_bench.peers.comparison.compare": {"schema": 1}, "edgefuse_bench.peers.page.page": "a page"},
    ),
}
"""Verbs whose results take minutes, and what stands for what their functions give: what is tested is the writing."""
SHORTENED = """
import importlib, json, sys

for function, value in json.loads(sys.argv.pop(1)).items():
    module, _, name = function.rpartition(".")
    setattr(importlib.import_module(module), name, lambda *_, value=value: value)
importlib.import_module("edgefuse.cli").run()
"""

STUDY = """
name = "invented"
like = "HAM10000"
[tables]
"one pair" = {table}
[training]
folds = 2
seeds = 1
shifts = [0]
epochs = 2
"""


@pytest.fixture
def places(
    tiny_workshop: Path,
    tiny_encoders: Path,
    make_table: Callable[..., Table],
    make_key: Callable[[], Path],
    tmp_path: Path,
) -> dict[str, Path]:
    """What verbs take, by the names above."""
    table = make_table(tmp_path / "V").folder
    (tmp_path / "study.toml").write_text(STUDY.format(table=json.dumps(str(table))))
    photos = tmp_path / "photos"
    photos.mkdir()
    for picture in sorted((tiny_workshop / "drawn" / "images").iterdir())[:12]:
        shutil.copy(picture, photos)
        (photos / picture.name).with_suffix(".txt").write_text("A new spot.")
    return {
        "drawn": tiny_workshop / "drawn",
        "encoders": tiny_encoders,
        "head": tiny_workshop / "head",
        "kit": tiny_workshop / "tiny.kit",
        "table": table,
        "csv": tmp_path / "table.csv",
        "study": tmp_path / "study.toml",
        "studied": tmp_path / "studied",
        "photos": photos,
        "key": make_key(),
        "bench": tmp_path / "bench.json",
        "second": tmp_path / "second.kit",
        "picture": tiny_workshop / "tiny.kit" / "golden" / "0.png",
    }


MADE_FOR = {
    "{csv}": "edgefuse embeddings export {table} --output {csv}",
    "{bench}": f"{MEASURE} {{bench}}",
    "{second}": "edgefuse pack --encoders {encoders} --head {head} --name tiny --version 2 --output {second}",
    "{studied}": "edgefuse study run {study} --output {studied} --jobs 1",
    "results export": "edgefuse classify {picture} --note new --kit {kit} --no-cache",
}
"""What is done elsewhere first for the verbs that name it."""


@dataclass(frozen=True)
class Filling:
    """A verb on disks that are too small."""

    words: str
    places: Mapping[str, Path]
    disk: SmallDisk

    @property
    def before(self) -> list[str]:
        return [words for name, commands in BEFORE.items() if name in self.words for words in commands]

    def command(self, words: str) -> list[str]:
        named = {name: shlex.quote(str(path)) for name, path in (*self.places.items(), ("disk", self.disk.place))}
        split = shlex.split(words.format(**named))
        return [part for word in split for part in (EDGEFUSE if word == "edgefuse" else [word])]

    def run(self, free: int | None = None) -> OnDisk:
        before = [self.command(words) for words in self.before]
        size = "16m" if "{disk}/home" in self.words else "4m"  # more, since before a kit is installed room is asked for
        return self.disk.run(*self.command(self.words), before=before, free=free, again=free is not None, size=size)

    def on_full_disks(self) -> list[OnDisk]:
        """On so many disks, from one without any room to one that lacks a part of what is written."""
        for name, words in MADE_FOR.items():
            if any(name in named for named in (self.words, *self.before)):
                subprocess.run(self.command(words), check=True, capture_output=True)
        undisturbed = self.run()
        assert undisturbed.code == 0, undisturbed
        assert undisturbed.changed
        pages = max(0, undisturbed.taken // 4096)
        rooms = sorted({pages * (2 * k + 1) // (2 * DISKS) for k in range(DISKS)})  # in the middle of equal parts
        found = [self.run(free * 4096) for free in rooms]
        for done in found:
            assert done.code == 7, done
            (complaint,) = [line for line in done.err.splitlines() if line.startswith("edgefuse: ")]
            assert complaint.endswith(".")
            assert "Traceback" not in done.err
            assert done.code_again == 0, done
            assert done.hidden == [], done
            different = {name for name, form in done.forms.items() if form != undisturbed.forms.get(name)}
            assert different == set(), done
        return found


@pytest.fixture
def filling(places: dict[str, Path], small_disk: SmallDisk) -> Callable[[str], Filling]:
    return lambda words: Filling(words, places, small_disk)


@pytest.mark.parametrize("words", AT_ONCE.values(), ids=AT_ONCE.keys())
def test_nothing_is_made_where_the_disk_has_no_room(
    filling: Callable[[str], Filling], record_property: Callable[[str, object], None], words: str
) -> None:
    found = filling(words).on_full_disks()
    assert [done.changed for done in found] == [[]] * len(found)
    record_property("full_disks", len(found))


@pytest.mark.parametrize("words", STEP_BY_STEP.values(), ids=STEP_BY_STEP.keys())
def test_what_is_finished_stays_whole_where_the_disk_has_no_room_for_the_rest(
    filling: Callable[[str], Filling], record_property: Callable[[str, object], None], words: str
) -> None:
    found = filling(words).on_full_disks()
    assert [name for done in found for name in done.changed if ".part" in name] == []
    record_property("full_disks", len(found))


@pytest.mark.parametrize(("words", "results"), LONG.values(), ids=LONG.keys())
def test_a_result_that_took_long_is_whole_or_absent(
    places: dict[str, Path],
    small_disk: SmallDisk,
    record_property: Callable[[str, object], None],
    words: str,
    results: dict[str, object],
) -> None:
    shortened = [sys.executable, "-c", SHORTENED, json.dumps(results)]
    rest = Filling(words, places, small_disk).command(words)[len(EDGEFUSE) :]
    done = small_disk.run(*shortened, *rest, free=0)
    assert done.code == 7, done
    assert done.err.splitlines()[-1].startswith(f"edgefuse: {small_disk.place / 'made'}."), done.err
    assert "(No space left on device)" in done.err
    assert done.changed == []
    record_property("full_disks", 1)


@pytest.mark.parametrize(
    ("name", "whole", "torn"),
    [
        ("made.json", '{"n": 1}', '{"n": '),
        ("made.jsonl", '{"n": 1}\n{"n": 2}\n', '{"n": 1}\n{"n"'),
        ("made.csv", "n,seconds\n1,0.25\n2,3e-05\n", "n,seconds\n1,0.25\n2,"),
    ],
)
def test_a_torn_file_under_its_final_name_is_seen(small_disk: SmallDisk, name: str, whole: str, torn: str) -> None:
    write = ["sh", "-c", 'printf %s "$1" > "$0"', small_disk.place / name]
    forms = [small_disk.run(*write, text).forms[name] for text in (whole, whole.replace("2", "7"), torn)]
    assert forms[0] == forms[1] != forms[2]


@pytest.mark.parametrize(
    "words",
    [
        "edgefuse classify {picture} --note new --kit {kit} --json",
        "edgefuse verify {kit} --allow-unsigned",
        "edgefuse doctor --kit {kit} --probe",
    ],
)
def test_a_full_disk_of_the_cache_costs_no_answer(
    filling: Callable[[str], Filling], record_property: Callable[[str, object], None], words: str
) -> None:
    """Neither the text cache's nor that of the verdicts on engines."""
    done = filling(f"env XDG_CACHE_HOME={{disk}}/cache {words}").run(0)
    assert (done.code, done.code_again) == (0, 0), done
    assert "Traceback" not in done.err
    record_property("full_disks", 1)
