"""An installation that is interrupted, killed, or out of disk: nothing is lost, and the same file finishes it.

$EDGEFUSE_INSTALL_KILLS says how many first installations are killed, and how many upgrades; $EDGEFUSE_SEED from which
moment on. Both tests have the properties "kills" and "reruns", for `--junitxml`.
"""

from __future__ import annotations

import errno
import json
import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from small_disks import SmallDisk

from edgefuse_packaging import run_file
from edgefuse_packaging.device import install, versions
from edgefuse_packaging.device.refused import Failed, Refused

from .installations import PYTHON, Carried, Person

KILLS = int(os.environ.get("EDGEFUSE_INSTALL_KILLS", "1"))  # each takes as long as an installation
DISKS = int(os.environ.get("EDGEFUSE_FULL_DISKS", "1"))
SEED = int(os.environ.get("EDGEFUSE_SEED", "0"))


def at_hand_over(error: BaseException, *, after: bool) -> Callable[..., str]:
    """In the place of `_install_kit`: an error before or after the kit is taken over, not when it is checked."""
    real = install._install_kit

    def fail(version: Path, kit: Path, root: Path, options: list[str], then: str) -> str:
        said = real(version, kit, root, options, then) if after or "--check" in options else ""
        if "--check" in options:
            return said
        raise error

    return fail


def interrupted() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("moment", "fail", "code", "sentence", "version", "kit"),
    [
        ("os.sync", interrupted, 130, "interrupted; nothing was changed.", "0.1.0-1", "1"),
        (
            "_install_kit",
            at_hand_over(KeyboardInterrupt(), after=False),
            130,
            "interrupted; start this file again to finish.",
            "0.1.0-2",
            "1",
        ),
        (
            "_install_kit",
            at_hand_over(OSError("bad card"), after=True),
            2,
            "it is not finished (bad card); start this file again to finish.",
            "0.1.0-2",
            "2",
        ),
    ],
)
def test_an_interrupted_upgrade_says_whether_anything_was_changed_and_no_old_version_has_the_new_kit(
    carried: Carried,
    person: Person,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    moment: str,
    fail: Callable[..., object],
    code: int,
    sentence: str,
    version: str,
    kit: str,
) -> None:
    file = carried.with_kit_version(tmp_path / "newer", 2).run_file(tmp_path / "stick", 2)
    facts = json.loads(file.read_bytes()[: run_file.HEADER_BYTES].partition(b"\n#FACTS\n")[2])
    with monkeypatch.context() as patch:
        patch.setattr(f"edgefuse_packaging.device.install.{moment}", fail)
        words = [str(file), "--allow-unsigned", "--no-menu", "--prefix", str(person.root)]
        assert install.main(words, facts) == code

    assert capsys.readouterr().err.splitlines()[-1] == f"edgefuse: {sentence}"
    assert (person.current(), person.kit()["version"]) == (version, kit)
    assert person.versions() == sorted({"0.1.0-1", version})
    assert person.answer()
    person.install(file)
    assert (person.current(), person.kit()["version"]) == ("0.1.0-2", "2")
    assert person.leftovers() == set()


@pytest.mark.parametrize("taken", [False, True])
@pytest.mark.parametrize("before", [[], ["2"], ["2", "1"]])
def test_what_was_current_is_so_again_where_the_kit_is_refused_and_not_in_use(
    tmp_path: Path, before: list[str], taken: bool
) -> None:
    kit = tmp_path / "kits" / "ham" / "current"
    kit.parent.mkdir(parents=True)
    kit.write_text("old")
    for link, name in zip(("current", "previous"), before, strict=False):
        (tmp_path / link).symlink_to(f"versions/{name}")

    with (  # noqa: PT012 - the block is what is refused
        pytest.raises(Refused),
        versions.current_unless_refused(tmp_path, tmp_path / "versions" / "3"),
    ):
        assert (tmp_path / "current").readlink().name == "3"
        kit.write_text("new" if taken else "old")
        raise Refused("the kit was not taken.")

    links = [(tmp_path / name).readlink().name for name in ("current", "previous") if (tmp_path / name).is_symlink()]
    assert links == (["3", *before[:1]] if taken else before)


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (Refused("the stick was changed."), 2, "the stick was changed."),
        (
            Failed("it does not run here: boom"),
            7,
            "has no room left, which may be why it does not run here: boom; make",
        ),
        (Failed("pip: No space left on device"), 7, "became full; make room and start this file again."),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 7, "became full; make room and start this file again."),
    ],
)
def test_a_full_disk_hides_no_other_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, sentence: str
) -> None:
    monkeypatch.setattr(install, "FULL_BYTES", 1 << 60)  # no disk has so much
    with pytest.raises(Refused, match=re.escape(sentence)) as refused, install._told_if_full(tmp_path):
        raise error
    assert refused.value.exit_code == code
    with pytest.raises(PermissionError), install._told_if_full(tmp_path):
        raise PermissionError


def test_a_version_with_a_damaged_kit_is_never_current(carried: Carried, person: Person, tmp_path: Path) -> None:
    damaged = carried.with_kit_changed(tmp_path / "other", lambda kit: (kit / "head.npz").write_bytes(b"another head"))

    done = person.install(damaged.run_file(tmp_path / "stick", 2), check=False)

    assert done.returncode == 2
    assert "the kit was not taken" in done.stderr
    assert person.versions() == ["0.1.0-1"]
    assert person.answer()


def test_a_killed_upgrade_leaves_the_version_before_and_the_rerun_finishes(
    carried: Carried, person: Person, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The same as a power cut, as far as a process can tell."""
    number, kills, rng = 1, 0, random.Random(SEED)
    while kills < KILLS:
        number += 1
        newer = carried.with_kit_version(tmp_path / f"kit-{number}", number)
        file = newer.run_file(tmp_path / "stick", number)
        newer.payload.unlink()
        before, after = f"0.1.0-{number - 1}", f"0.1.0-{number}"
        kills += person.killed_while_installing(file, rng.uniform(0, person.took))
        assert person.current() in (before, after)
        assert person.kit()["version"] in (str(number - 1), str(number) if person.current() == after else None)
        assert person.answer()

        person.install(file)

        assert person.current() == after
        assert person.kit()["version"] == str(number)
        assert person.answer()
        assert person.versions() == sorted([before, after])
        assert person.leftovers() == set()
        file.unlink()
    record_property("kills", kills)
    record_property("reruns", number - 1)


def test_a_killed_first_installation_is_finished_by_the_rerun(
    installed_home: Person, first: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    reruns, kills, rng = 0, 0, random.Random(SEED + 1)
    while kills < KILLS:
        person = Person(tmp_path / f"home-{reruns}")
        person.home.mkdir()
        kills += person.killed_while_installing(first, rng.uniform(0, installed_home.took))
        command = person.home / ".local/bin/edgefuse"  # the last step but the icon makes it
        assert not command.exists() or person.answer()

        person.install(first)

        reruns += 1
        assert person.answer()
        assert person.versions() == ["0.1.0-1"]
        assert person.leftovers() == set()
        shutil.rmtree(person.home)
    record_property("kills", kills)
    record_property("reruns", reruns)


def test_a_first_installation_on_a_disk_that_fills_up_leaves_nothing(
    carried: Carried, small_disk: SmallDisk, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    blind = carried.run_file(tmp_path / "stick", disk={PYTHON: 0})
    home = tmp_path / "home"  # not on the disk: programs of this machine that pip asks write into it
    home.mkdir()
    environment = ["env", "-i", *(f"{name}={value}" for name, value in Person(home).environment().items())]
    install_there = [*environment, "sh", blind, "--allow-unsigned", "--prefix", small_disk.place / "new" / "edgefuse"]
    for k in range(DISKS):  # while it is unpacked or, of several, while packages are installed
        room = carried.payload.stat().st_size * (2 * k + 1) // DISKS
        done = small_disk.run(*install_there, size=f"{room // 1024}k")

        assert done.code == 7, (k, done.err)
        assert "Traceback" not in done.err
        assert done.err.splitlines()[-1].startswith("edgefuse: ")
        assert done.changed == ["new"]
    record_property("full_disks", DISKS)


def test_a_disk_that_fills_up_after_the_check_leaves_the_version_before(
    carried: Carried,
    first: Path,
    installed_home: Person,
    small_disk: SmallDisk,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    blind = carried.run_file(tmp_path / "stick", 2, disk={PYTHON: 0})  # it takes any disk for large enough
    person = Person(small_disk.place)
    environment = ["env", "-i", *(f"{name}={value}" for name, value in person.environment().items())]
    before = [[*environment, *person.installing(first)]]
    upgrade = [*environment, *person.installing(blind)]
    version = installed_home.root / "versions" / installed_home.current()
    taken = sum(path.lstat().st_size for path in version.rglob("*"))  # about what the upgrade takes in the end

    for k in range(DISKS):
        free = taken * (2 * k + 1) // (2 * DISKS)
        done = small_disk.run(*upgrade, before=before, free=free, again=True, size="1g")

        assert done.code == 7, (k, done.err)
        assert "Traceback" not in done.err
        assert done.err.splitlines()[-1].startswith("edgefuse: ")
        assert done.changed == []
        assert (done.code_again, done.hidden) == (0, []), done.err_again
    record_property("full_disks", DISKS)
