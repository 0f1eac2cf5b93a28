"""A disk without room, or that may only be read: the answer is printed, and the exit code is 6."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_disks import SmallDisk

SMALL = """
set -e
mount -t tmpfs -o size=4m tmpfs "$EDGEFUSE_HOME"
free=$1; shift
"$@" > "$OUT/before"
dd if=/dev/zero of="$EDGEFUSE_HOME/filler" bs=4096 2> /dev/null || true
truncate --size=-$((free * 4096)) "$EDGEFUSE_HOME/filler"
set +e
"$@" > "$OUT/out" 2> "$OUT/err"; code=$?
rm "$EDGEFUSE_HOME/filler"
"$@" > "$OUT/after" || exit 99
cp -r "$EDGEFUSE_HOME" "$OUT/home"
exit $code
"""
"""An answer, then one with so many free pages on a disk of 4 MiB, then one when there is room again."""


@pytest.fixture
def on_a_full_disk(tmp_path: Path, namespace: list[str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command three times with its home on a disk that is full the second time."""
    small = tmp_path / "small"
    small.mkdir()

    def run(free: int, *arguments: Path | str) -> subprocess.CompletedProcess[str]:
        command = [*namespace, "/bin/sh", "-c", SMALL, "small", str(free), sys.executable, "-m", "edgefuse", *arguments]
        environment = os.environ | {"EDGEFUSE_HOME": str(small), "OUT": str(tmp_path)}
        return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=False)

    return run


def test_answers_can_be_read_from_a_full_disk_and_none_is_purged(small_disk: SmallDisk, tiny_kit: Path) -> None:
    edgefuse = ["env", f"EDGEFUSE_HOME={small_disk.place}", sys.executable, "-m", "edgefuse"]
    ask = [*edgefuse, "classify", tiny_kit / "golden" / "1.png", "--note", "new", "--kit", tiny_kit]
    listed = small_disk.run(*edgefuse, "results", "list", "--json", before=[ask], free=0)
    assert listed.code == 0
    assert json.loads(listed.out)["number"] == 1
    assert listed.err == ""
    exported = small_disk.run(*edgefuse, "results", "export", "csv", before=[ask], free=0)
    assert len(exported.out.splitlines()) == 2

    purged = small_disk.run(*edgefuse, "results", "purge", "--all", "--yes", before=[ask], free=0, again=True)

    assert purged.code == 7
    assert purged.err.count("\n") == 1
    assert "cannot be purged: the disk of" in purged.err
    assert "results/results.sqlite" not in purged.changed
    assert "1 answer removed" in purged.err_again


NOWHERE_TO_COPY = """
from edgefuse.cli import run
from edgefuse.results import log_file

def full(path):
    raise OSError(28, "No space left on device")

log_file.copied = full
run()
"""


def test_a_full_disk_from_which_nothing_can_be_copied_is_told(small_disk: SmallDisk, tiny_kit: Path) -> None:
    python = ["env", f"EDGEFUSE_HOME={small_disk.place}", sys.executable]
    ask = [*python, "-m", "edgefuse", "classify", tiny_kit / "golden" / "1.png", "--note", "new", "--kit", tiny_kit]

    listed = small_disk.run(*python, "-c", NOWHERE_TO_COPY, "results", "list", before=[ask], free=0)

    assert (listed.code, listed.out) == (7, "")
    assert listed.err.endswith(f"cannot be read: the disk of {small_disk.place}/results is full; free some room.\n")


@pytest.mark.parametrize("free", [0, 1])
def test_the_answer_is_printed_and_that_it_was_not_stored_is_said(
    on_a_full_disk: Callable[..., Any], tiny_kit: Path, tmp_path: Path, free: int
) -> None:
    picture = tiny_kit / "golden" / "1.png"
    ask = ["classify", picture, "--note", "new", "--kit", tiny_kit, "--engine", "numpy", "--json", "--keep-inputs"]
    done = on_a_full_disk(free, *ask)
    assert done.returncode == 6, done.stderr
    before, full, after = (json.loads((tmp_path / name).read_text()) for name in ("before", "out", "after"))
    assert full["probabilities"] == before["probabilities"]
    said = (tmp_path / "err").read_text()
    assert "is full; free some room.\n" in said
    assert said.count("\n") == 1
    assert said.startswith("edgefuse: The answer was ")
    assert before["number"] == 1
    assert after["number"] == (2 if full["number"] is None else 3)
    assert not list((tmp_path / "home" / "results").glob("*corrupt*"))


STORE = """
import os, sys
from pathlib import Path
from edgefuse.answering.prediction import Prediction
from edgefuse.results.inputs import Given
from edgefuse.results.log import ResultsLog
from edgefuse_runtimes.errors import NotStored

disk = Path(sys.argv[1])
answer = Prediction(
    image=None, label="nv", labels=["nv"], referred=False, reason=None, probabilities={"nv": 1.0},
    kit={"name": "k", "version": "1", "digest": "d"}, missing=[], cached=[], timings_ms={},
    engines=dict.fromkeys(("image", "text")), precisions=dict.fromkeys(("image", "text")),
    memory={"peak_rss_bytes": 1}, notes=["x" * 1500],
)
for begun in (False, True):
    for free in range(24):
        folder = disk / f"{begun}-{free}"
        stored = []
        if begun:
            with ResultsLog.open(folder) as log:
                stored.append(log.store(answer, Given()))
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
            file.truncate(max(0, file.tell() // 4096 - free) * 4096)
        outcomes = ""
        for _ in range(6):
            with ResultsLog.open(folder) as log:
                try:
                    stored.append(log.store(answer, Given(kept_picture=bytes(3000))))
                    outcomes += "+"
                except NotStored as error:
                    assert "is full; free some room" in str(error), error
                    stored += [] if error.number is None else [error.number]
                    outcomes += "-" if error.number is None else "p"
        filler.unlink()
        with ResultsLog.open(folder) as log:
            stored.append(log.store(answer, Given()))
            assert [record.number for record in log.records()] == stored, (begun, free, stored)
            assert log.set_aside == [], (begun, free)
        print(outcomes)
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        folder.rmdir()
"""


def test_in_whatever_room_there_is_an_answer_is_stored_or_it_is_said(tmp_path: Path, namespace: list[str]) -> None:
    """0 to 23 pages of 4 MiB are free: whatever a write fails at, all that was told to be stored is there."""
    script = 'mount -t tmpfs -o size=4m tmpfs "$1" && exec "$2" -c "$3" "$1"'
    command = [*namespace, "/bin/sh", "-c", script, "small", str(tmp_path), sys.executable, STORE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    outcomes = done.stdout.split()
    assert len(outcomes) == 48
    assert set("".join(outcomes)) == set("+-p")  # stored, not at all, and without the picture
    assert outcomes[0] == "------"


READ_ONLY = """
set -e
mount -t tmpfs -o size=4m tmpfs "$EDGEFUSE_HOME"
"$@" classify --note first $ASK > /dev/null
mount -o remount,ro "$EDGEFUSE_HOME"
"$@" results list > "$OUT/list"
"$@" results show 1 --json > "$OUT/show"
"$@" results export csv "$OUT/export.csv"
set +e
"$@" classify --note second $ASK --json > "$OUT/out" 2> "$OUT/err"; code=$?
"$@" results purge --all --yes 2> "$OUT/purge" && exit 99
exit $code
"""


def test_a_disk_that_may_only_be_read_gives_its_answers_and_takes_none(
    tmp_path: Path, namespace: list[str], tiny_kit: Path
) -> None:
    """As the system makes of a failing memory card."""
    (tmp_path / "card").mkdir()
    command = [*namespace, "/bin/sh", "-c", READ_ONLY, "card", sys.executable, "-m", "edgefuse"]
    environment = os.environ | {
        "EDGEFUSE_HOME": str(tmp_path / "card"), "OUT": str(tmp_path), "ASK": f"--kit {tiny_kit} --engine numpy",
    }  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 6, done.stderr
    assert json.loads((tmp_path / "out").read_text())["number"] is None
    assert "cannot be written (Read-only file system); check its permissions" in (tmp_path / "err").read_text()
    assert "cannot be purged" in (tmp_path / "purge").read_text()
    assert (tmp_path / "list").read_text().split()[0] == "1"
    assert json.loads((tmp_path / "show").read_text())["number"] == 1
    assert len((tmp_path / "export.csv").read_text().splitlines()) == 2
