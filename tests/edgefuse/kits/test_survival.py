"""Nothing is lost: neither kill -9 at any moment nor a full disk takes away the kit that answers.

$EDGEFUSE_INSTALL_KILLS says how many first installations are killed, and how many upgrades; $EDGEFUSE_SEED from which
moment on. Both tests have the properties "kills" and "reruns", for `--junitxml`.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from small_disks import SmallDisk

from edgefuse.answering.classifier import Classifier
from edgefuse.home import home
from edgefuse.kits.active import activate, find_kit
from edgefuse.kits.installing import install
from edgefuse.kits.kit import Kit
from edgefuse.kits.manifest import MANIFEST, read_manifest, write_manifest
from edgefuse.kits.store import installed, objects_folder
from edgefuse_packaging.killing import run_for

onnx = pytest.importorskip("onnx", reason="needs the extra export: onnx makes another file of the same encoder")

KILLS = int(os.environ.get("EDGEFUSE_INSTALL_KILLS", "10"))
SEED = int(os.environ.get("EDGEFUSE_SEED", "0"))

INSTALL = """
import sys
from pathlib import Path
from edgefuse.answering.classifier import Classifier
from edgefuse.kits.installing import install

print("begun", flush=True)
install(Path(sys.argv[1]), allow_unsigned=True)
"""

FILLED_AFTER_THE_CHECK = """
import shutil
from edgefuse.cli import run
from edgefuse.kits import room

room.shutil.disk_usage = lambda path: shutil._ntuple_diskusage(1 << 40, 0, 1 << 40)
run()
"""


@pytest.fixture
def newer(bring: Callable[..., Path]) -> Path:
    """A second version with another image encoder's file and other notes, so that there is something to write."""
    kit = bring("2", seed=None)
    manifest = read_manifest((kit / MANIFEST).read_bytes(), kit)
    model = onnx.load(kit / "image.onnx")
    model.doc_string = "the second one"
    onnx.save(model, kit / "image.onnx")
    data = (kit / "image.onnx").read_bytes()
    manifest["encoders"]["image"] |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    for note in kit.glob("golden/*.txt"):
        note.write_text(note.read_text() + " It is new.")
    (kit / MANIFEST).unlink()
    write_manifest(kit, {key: value for key, value in manifest.items() if key not in ("schema", "files", "digest")})
    return kit


def killed_while_installing(kit: Path, seconds: float) -> bool:
    """Kill an installation so long after it began; whether it was still at it."""
    return run_for([sys.executable, "-c", INSTALL, kit], seconds, os.environ, from_first_line=True) is None


def duration(kit: Path) -> float:
    """Seconds of an undisturbed installation in this process."""
    started = time.monotonic()
    install(kit, allow_unsigned=True)
    return time.monotonic() - started


def answers(picture: Path) -> str:
    """The version of the active kit, after it gave an answer."""
    with Classifier.open(find_kit(), engine="numpy", cache=False) as classifier:
        return classifier.predict(picture, "A new spot.").kit["version"]


def test_a_killed_upgrade_leaves_the_old_version_answering_and_the_rerun_finishes(
    bring: Callable[..., Path],
    newer: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    first, kills, reruns, rng = bring("1", seed=None), 0, 0, random.Random(SEED)
    monkeypatch.setenv("EDGEFUSE_HOME", str(tmp_path / "measured"))
    install(first, allow_unsigned=True)
    length = duration(newer)
    while kills < KILLS:
        monkeypatch.setenv("EDGEFUSE_HOME", str(tmp_path / f"home-{reruns}"))
        activate(install(first, allow_unsigned=True).folder)
        kills += killed_while_installing(newer, rng.uniform(0, length))
        for item in installed():
            Kit.open(item.folder).verify()
        assert answers(first / "golden/0.png") in ("1", "2")
        assert install(newer, allow_unsigned=True).record.version == "2"
        reruns += 1
        assert answers(first / "golden/0.png") == "2"
        leftovers = [path for path in home().rglob(".*") if path.name != ".lock"]
        assert leftovers == []
        shutil.rmtree(home())
    record_property("kills", kills)
    record_property("reruns", reruns)


def test_a_killed_first_installation_is_finished_by_the_rerun(
    bring: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    kit, kills, reruns, rng = bring("1", seed=None), 0, 0, random.Random(SEED + 1)
    monkeypatch.setenv("EDGEFUSE_HOME", str(tmp_path / "measured"))
    length = duration(kit)
    while kills < KILLS:
        monkeypatch.setenv("EDGEFUSE_HOME", str(tmp_path / f"home-{reruns}"))
        kills += killed_while_installing(kit, rng.uniform(0, length))
        done = install(kit, allow_unsigned=True)
        reruns += 1
        Kit.open(done.folder).verify()
        assert len(list(objects_folder().iterdir())) == len(Kit.open(done.folder).hashes)
        shutil.rmtree(home())
    record_property("kills", kills)
    record_property("reruns", reruns)


@pytest.mark.parametrize("kilobytes", [0, 40, 200, 600])
def test_a_disk_that_fills_up_leaves_what_was_there(
    bring: Callable[..., Path],
    newer: Path,
    small_disk: SmallDisk,
    record_property: Callable[[str, object], None],
    kilobytes: int,
) -> None:
    python = ["env", f"EDGEFUSE_HOME={small_disk.place}/home", sys.executable, "-c", FILLED_AFTER_THE_CHECK]
    first = [*python, "kits", "install", bring("1", seed=None), "--allow-unsigned"]
    second = [*python, "kits", "install", newer, "--allow-unsigned"]

    done = small_disk.run(*second, before=[first], free=kilobytes << 10, again=True)

    assert done.code == 7, done.err
    assert done.err.count("edgefuse: ") == 1, done.err
    assert "Traceback" not in done.err
    assert done.changed == []  # version 1 as well
    assert (done.code_again, done.hidden) == (0, []), done.err_again
    record_property("full_disks", 1)


@pytest.mark.parametrize("kilobytes", [0, 40, 200, 600])
def test_a_disk_that_fills_up_leaves_nothing_of_a_first_kit_and_trusts_nobody(
    bring: Callable[..., Path],
    fingerprint: str,
    small_disk: SmallDisk,
    record_property: Callable[[str, object], None],
    kilobytes: int,
) -> None:
    python = ["env", f"EDGEFUSE_HOME={small_disk.place}/home", sys.executable, "-c", FILLED_AFTER_THE_CHECK]
    command = [*python, "kits", "install", bring("1"), "--trust", fingerprint]

    done = small_disk.run(*command, free=kilobytes << 10, again=True)

    assert done.code == 7, done.err
    assert [name for name in done.changed if name.endswith(("kit.json", "trusted_keys", "active-kit"))] == []
    assert (done.code_again, done.hidden) == (0, []), done.err_again
    record_property("full_disks", 1)


def test_a_disk_without_room_is_refused_before_anything_is_written(
    bring: Callable[..., Path], newer: Path, small_disk: SmallDisk
) -> None:
    python = ["env", f"EDGEFUSE_HOME={small_disk.place}/home", sys.executable]
    first = [*python, "-c", FILLED_AFTER_THE_CHECK, "kits", "install", bring("1", seed=None), "--allow-unsigned"]

    done = small_disk.run(*python, "-m", "edgefuse", "kits", "install", newer, "--allow-unsigned", before=[first])

    assert done.code == 7
    assert "make room, for example with 'edgefuse kits remove'" in done.err
    assert done.changed == []
