"""Nothing is lost: neither kill -9 at any moment nor a full disk takes away the kit that answers.

$EDGEFUSE_INSTALL_KILLS says how many first installations are killed, and how many upgrades; $EDGEFUSE_SEED from which
moment on. Both tests have the properties "kills" and "reruns", for `--junitxml`.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

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

IN_A_SMALL_FOLDER = """
import os, shutil, sys
from pathlib import Path
from edgefuse.cli import run
from edgefuse.kits import room
from edgefuse.kits.installing import install

first, second, told, left = sys.argv[1:]
home = Path(os.environ["EDGEFUSE_HOME"])
asked = room.shutil.disk_usage
room.shutil.disk_usage = lambda path: shutil._ntuple_diskusage(1 << 40, 0, 1 << 40)  # the disk fills after the check
install(Path(first), allow_unsigned=True)
if told == "truth":
    room.shutil.disk_usage = asked
free = os.statvfs(home)
with (home.parent / "ballast").open("wb") as ballast:
    ballast.write(bytes(max(0, free.f_bavail * free.f_frsize - int(left) * 1024)))
before = sorted(path for path in home.rglob("*"))
sys.argv = ["edgefuse", "kits", "install", second, "--allow-unsigned"]
try:
    run()
finally:
    (home.parent / "ballast").unlink()
    same = sorted(path for path in home.rglob("*")) == before
    print("as before" if same else sorted(set(home.rglob("*")) ^ set(before)), file=sys.stderr)
    from edgefuse.kits.active import find_kit
    from edgefuse.kits.kit import Kit
    from edgefuse.kits.store import installed
    for item in installed():
        Kit.open(item.folder).verify()
        print("whole:", item.record.version, item.in_use, file=sys.stderr)
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


@pytest.fixture
def in_little_disk(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Python with EDGEFUSE_HOME on a disk of 4 MiB that only the process sees."""
    place = tmp_path / "small"
    place.mkdir()
    inside = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    mount = f"mount -t tmpfs -o size=4m tmpfs '{place}'"
    if (
        shutil.which("unshare") is None
        or subprocess.run([*inside, mount], check=False, capture_output=True).returncode != 0
    ):
        pytest.skip("needs the right to mount a tmpfs in a namespace of its own (unshare --mount --map-root-user)")

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        command = [*inside, f'{mount} && exec "$0" "$@"', sys.executable, *map(str, words)]
        environment = os.environ | {"EDGEFUSE_HOME": str(place / "home")}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize(("told", "left"), [("truth", 3000), ("lies", 0), ("lies", 40), ("lies", 200), ("lies", 600)])
def test_a_full_disk_leaves_what_was_there_and_ends_with_7(
    bring: Callable[..., Path],
    newer: Path,
    in_little_disk: Callable[..., subprocess.CompletedProcess[str]],
    told: str,
    left: int,
) -> None:
    first = bring("1", seed=None)
    done = in_little_disk("-c", IN_A_SMALL_FOLDER, first, newer, told, str(left))
    assert done.returncode == 7, done.stderr
    assert "as before" in done.stderr
    assert "whole: 1 True" in done.stderr
    assert "Traceback" not in done.stderr
