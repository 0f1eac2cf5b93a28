"""Batch classification is killed at random moments: nothing that was acknowledged is lost.

$EDGEFUSE_KILLS sets how often, $EDGEFUSE_SEED from which moment on. The figures are properties of the test, for
`--junitxml`.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from PIL import Image

from edgefuse_packaging.killing import kill_batches, run_for
from edgefuse_runtimes.errors import QualityGate

KILLS = int(os.environ.get("EDGEFUSE_KILLS", "10"))
SEED = int(os.environ.get("EDGEFUSE_SEED", "0"))
PICTURES = 120


@pytest.fixture
def photos(tiny_workshop: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    drawn = sorted((tiny_workshop / "drawn").rglob("*.png"))
    for number in range(PICTURES):
        Image.open(drawn[number % len(drawn)]).save(folder / f"{number:03}.jpg")
        (folder / f"{number:03}.txt").write_text(f"Note {number}: it bleeds at times.")
    return folder


def test_no_acknowledged_answer_is_lost(
    tiny_kit: Path, photos: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    found = kill_batches(tiny_kit, photos, tmp_path / "work", kills=KILLS, seed=SEED)
    for name, count in asdict(found).items():
        record_property(name, count)
    assert found.kills == KILLS
    assert found.acknowledged == found.batches * PICTURES
    assert found.acknowledged <= found.stored <= found.acknowledged + KILLS


def test_an_answer_that_is_missing_in_the_log_is_seen(
    tiny_kit: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget(command: list[str | Path], seconds: float, environment: dict[str, str]) -> float | None:
        took = run_for(command, 3600, environment)
        shutil.rmtree(tmp_path / "work" / "home" / "results")
        return took if seconds == 3600 else None

    for path in sorted(photos.iterdir())[4:]:
        path.unlink()
    monkeypatch.setattr("edgefuse_packaging.killing.run_for", forget)
    with pytest.raises(QualityGate, match="The acknowledged answer 1 is not the one in the log"):
        kill_batches(tiny_kit, photos, tmp_path / "work", kills=1, seed=0)


def test_a_process_and_its_children_end_when_they_are_killed(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    beat = f"import time\nwhile True: open({str(alive)!r}, 'a').write('x'); time.sleep(0.01)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {beat!r}])"
    assert run_for([sys.executable, "-c", parent], 2.0, os.environ) is None
    size = alive.stat().st_size
    time.sleep(0.2)
    assert alive.stat().st_size == size > 0


def test_a_moment_counts_from_the_first_line(tmp_path: Path) -> None:
    made = tmp_path / "made"
    code = f"import time; time.sleep(1); open({str(made)!r}, 'x').close(); print('begun', flush=True); time.sleep(60)"
    assert run_for([sys.executable, "-c", code], 0.3, os.environ, from_first_line=True) is None
    assert made.exists()  # which it is not 0.3 s after the start


def test_a_run_that_fails_is_no_run() -> None:
    with pytest.raises(QualityGate, match=r"failed with 3: sorry"):
        run_for([sys.executable, "-c", "import sys; sys.stderr.write('sorry'); sys.exit(3)"], 60, os.environ)
