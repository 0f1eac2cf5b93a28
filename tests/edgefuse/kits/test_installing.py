"""A kit comes in whole or not at all, and only from whom this device trusts."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgefuse.answering.classifier import Classifier
from edgefuse.home import home
from edgefuse.kits import installing, room
from edgefuse.kits.active import activate
from edgefuse.kits.installing import install
from edgefuse.kits.kit import Kit
from edgefuse.kits.record import REVOKED, UNSIGNED, read_record, record_path
from edgefuse.kits.store import installed, kits_folder, objects_folder, remove, rollback
from edgefuse.kits.tuned import write_tuned
from edgefuse.trust.pinned import pinned_keys, pinned_path
from edgefuse_runtimes.errors import BadInput, DoesNotFit

Bring = Callable[..., Path]


def tree(folder: Path) -> dict[str, bytes]:
    """All that is below a folder, as it would be lost."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("archive", [False, True])
def test_a_folder_and_an_archive_become_the_same_kit(bring: Bring, fingerprint: str, archive: bool) -> None:
    brought = bring(archive=archive)
    done = install(brought, fingerprint=fingerprint)
    assert (done.record.name, done.record.version, done.record.signer) == ("tiny", "1", fingerprint)
    kit = Kit.open(done.folder)
    kit.verify()
    assert kit.remarks == []
    whole = bring()
    assert tree(done.folder) == tree(whole)
    with Classifier.open(done.folder, engine="numpy", cache=False) as classifier:
        assert classifier.predict(done.folder / "golden/0.png", "a note").kit["digest"] == kit.digest


def test_nobody_else_may_write_to_an_installed_kit(bring: Bring, fingerprint: str) -> None:
    before = os.umask(0)
    try:
        done = install(bring(), fingerprint=fingerprint)
    finally:
        os.umask(before)
    assert done.folder.is_relative_to(home())
    for path in (home(), *home().rglob("*")):
        assert path.stat().st_mode & 0o022 == 0, path


def test_what_an_administrator_changes_for_everyone_all_may_read(
    bring: Bring, fingerprint: str, everyones_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(everyones_root / "current"))
    monkeypatch.setenv("EDGEFUSE_HOME", str(everyones_root))
    first, second = bring("1"), bring("2")
    before = os.umask(0o077)
    try:
        activate(install(first, fingerprint=fingerprint).folder)
        install(second)
        write_tuned(Kit.open(rollback("tiny").folder), {})
    finally:
        os.umask(before)
    names = {path.name for path in everyones_root.rglob("*")}
    assert names > {"current", "active-kit", "trusted_keys", "1.installed.json", "1.tuned.json", "highest.json"}
    for path in everyones_root.rglob("*"):
        assert path.stat().st_mode & 0o444 == 0o444, path


def test_the_first_key_is_asked_about_and_pinned_and_others_are_refused(bring: Bring, fingerprint: str) -> None:
    first = bring()
    with pytest.raises(BadInput, match="the first key that this device sees, SHA256:"):
        install(first, confirm=lambda key: False)
    assert pinned_keys() == []
    asked = []
    install(first, confirm=lambda key: asked.append(key.fingerprint) or True)
    assert asked == [fingerprint]
    install(bring("2"), confirm=lambda key: pytest.fail("the key is known"))
    with pytest.raises(BadInput, match="signed by a key that this device does not know"):
        install(bring("3", seed=2), confirm=lambda key: pytest.fail("only of the first key anybody is asked"))
    with pytest.raises(BadInput, match="is not signed; ask for a signed one"):
        install(bring("3", seed=None))
    assert [item.record.version for item in installed()] == ["1", "2"]


def test_a_fingerprint_must_be_that_of_the_key(bring: Bring, fingerprint: str) -> None:
    for seed in (2, None):
        with pytest.raises(BadInput, match=r"is signed by .*, not by SHA256:"):
            install(bring(seed=seed), fingerprint=fingerprint)
    assert not home().exists()


@pytest.mark.parametrize("seed", [None, 2])
def test_what_was_taken_unsigned_says_so_in_every_answer(bring: Bring, seed: int | None) -> None:
    done = install(bring(seed=seed), allow_unsigned=True)
    assert (done.record.signer, pinned_keys()) == (None, [])
    with Classifier.open(done.folder, engine="numpy", cache=False) as classifier:
        assert UNSIGNED in classifier.predict(done.folder / "golden/0.png", "a note").notes


def test_a_key_that_is_trusted_no_more_is_told_in_every_answer_of_its_kits(bring: Bring, fingerprint: str) -> None:
    done = install(bring(), fingerprint=fingerprint)
    assert Kit.open(done.folder).remarks == []
    pinned_path().write_text("# the key was lost\n")
    with Classifier.open(done.folder, engine="numpy", cache=False) as classifier:
        assert REVOKED.format(fingerprint) in classifier.predict(done.folder / "golden/0.png", "a note").notes
        pinned_path().write_text("torn")
        (note, *_) = classifier.predict(done.folder / "golden/0.png", "a note").notes
        assert "trusted_keys, line 1, cannot be read" in note
        pinned_path().unlink()
        pinned_path().mkdir()
        (note, *_) = classifier.predict(done.folder / "golden/0.png", "a note").notes
        assert note.startswith(f"{pinned_path()} cannot be read (Is a directory), so it is not known whether")


@pytest.mark.parametrize("damage", ["swapped", "changed", "cut", "emptied"])
def test_a_signature_that_does_not_fit_is_refused_whatever_is_allowed(
    bring: Bring, fingerprint: str, damage: str
) -> None:
    kit = bring()
    signature = kit / "kit.json.sig"
    whole = signature.read_bytes()
    others = {
        "swapped": (bring("2") / "kit.json.sig").read_bytes(),
        "changed": whole.replace(b"AAAA", b"AAAB", 1),
        "cut": whole[:100],
        "emptied": b"",
    }
    signature.write_bytes(others[damage])
    for allow in (False, True):
        with pytest.raises(BadInput, match="signature"):
            install(kit, allow_unsigned=allow)
    assert not home().exists()


def test_without_the_library_no_signature_is_called_good(
    bring: Bring, fingerprint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = bring()
    monkeypatch.setitem(sys.modules, "cryptography", None)
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(BadInput, match="cryptography"):
        install(kit, fingerprint=fingerprint)
    with pytest.raises(BadInput, match="cryptography"):  # a key was asked for, so any other kit will not do
        install(kit, fingerprint=fingerprint, allow_unsigned=True)
    assert not home().exists()
    assert install(kit, allow_unsigned=True).record.signer is None


def test_an_upgrade_keeps_the_old_version_and_what_both_have_is_stored_once(bring: Bring, fingerprint: str) -> None:
    first = install(bring("1"), fingerprint=fingerprint)
    second = install(bring("2"))
    assert [(item.record.version, item.in_use) for item in installed()] == [("1", False), ("2", True)]
    assert (first.folder / "text.gguf").samefile(second.folder / "text.gguf")
    assert len(list(objects_folder().iterdir())) == len(Kit.open(first.folder).hashes)
    assert rollback("tiny").record.version == "1"
    assert [(item.record.version, item.in_use) for item in installed()] == [("1", True), ("2", False)]


def test_where_there_are_no_links_files_are_copied(
    bring: Bring, fingerprint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    done = install(bring(), fingerprint=fingerprint)
    Kit.open(done.folder).verify()
    assert (done.folder / "text.gguf").stat().st_nlink == 1


def test_a_thin_kit_takes_from_this_device_what_it_lacks(bring: Bring, fingerprint: str) -> None:
    thin = bring("2")
    for name in ("image.onnx", "text.gguf", "golden.npz"):
        (thin / name).unlink()
    with pytest.raises(BadInput, match=r"lacks the file .*, and no installed kit has it; copy the whole kit"):
        install(thin, fingerprint=fingerprint)
    install(bring("1"), fingerprint=fingerprint)
    done = install(thin)
    Kit.open(done.folder).verify()
    assert done.record.version == "2"


def test_a_downgrade_must_be_meant(bring: Bring, fingerprint: str) -> None:
    for version in ("1.9", "1.10"):
        install(bring(version), fingerprint=fingerprint)
    older = bring("1.9.1")
    with pytest.raises(BadInput, match=r"older than version 1\.10, which is installed; add --allow-downgrade"):
        install(older)
    rollback("tiny")
    with pytest.raises(BadInput, match="older than version"):
        install(older)
    assert install(older, allow_downgrade=True).record.version == "1.9.1"


def test_a_downgrade_must_be_meant_even_if_the_newer_kit_was_removed(bring: Bring, fingerprint: str) -> None:
    install(bring("2"), fingerprint=fingerprint)
    remove("tiny")
    with pytest.raises(BadInput, match=r"older than version 2, which was installed; add --allow-downgrade if you mean"):
        install(bring("1"))
    assert installed() == []
    assert install(bring("1"), allow_downgrade=True).record.version == "1"
    with pytest.raises(BadInput, match="older than version 2, which was installed"):  # once allowed is not for ever
        install(bring("1.5"))
    assert install(bring("2")).record.version == "2"


def test_what_is_remembered_of_versions_is_not_passed_over_when_damaged(bring: Bring, fingerprint: str) -> None:
    install(bring("2"), fingerprint=fingerprint)
    remove("tiny")
    remembered = kits_folder() / "highest.json"
    for damage in (b"", b"[]", b'{"versions": {"tiny": 2}}'):
        remembered.write_bytes(damage)
        with pytest.raises(BadInput, match=r"highest\.json is damaged"):
            install(bring("1"))


def test_a_newer_kit_that_came_while_the_device_was_looked_at_is_not_undone(
    bring: Bring, fingerprint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer, look = bring("2"), installing.require_room

    def meanwhile(*arguments: object) -> None:
        monkeypatch.setattr(installing, "require_room", look)
        install(newer, fingerprint=fingerprint)  # as another process may, until the store is locked
        look(*arguments)

    monkeypatch.setattr(installing, "require_room", meanwhile)
    with pytest.raises(BadInput, match="older than version 2"):
        install(bring("1"), fingerprint=fingerprint)
    assert [(item.record.version, item.in_use) for item in installed()] == [("2", True)]


def test_another_kit_of_the_same_version_is_refused(bring: Bring, fingerprint: str) -> None:
    install(bring("1"), fingerprint=fingerprint)
    with pytest.raises(BadInput, match=r"Another kit tiny 1 is installed already, with other content"):
        install(bring("1", edgefuse="9.9"))


def test_a_damaged_file_of_the_stick_leaves_nothing(bring: Bring, fingerprint: str) -> None:
    first = install(bring("1"), fingerprint=fingerprint)
    before = tree(home())
    kit = bring("2", said="something new")
    data = bytearray((kit / "head.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (kit / "head.npz").write_bytes(data)
    shutil.rmtree(objects_folder())  # so that each file comes from the stick
    with pytest.raises(BadInput, match=r"head\.npz of the kit .* is damaged \(sha256 differs\)"):
        install(kit)
    assert {name: data for name, data in tree(home()).items() if not name.startswith("objects/")} == {
        name: data for name, data in before.items() if not name.startswith("objects/")
    }
    assert {path.name for path in objects_folder().iterdir()} <= Kit.open(first.folder).hashes.keys()
    Kit.open(first.folder).verify()


def test_installing_again_repairs_what_the_card_lost(bring: Bring, fingerprint: str) -> None:
    kit = bring()
    done = install(kit, fingerprint=fingerprint)
    damaged = done.folder / "text.gguf"
    damaged.chmod(0o644)
    data = bytearray(damaged.read_bytes())
    data[-1] ^= 1
    damaged.write_bytes(data)
    with pytest.raises(BadInput, match="damaged"):
        Kit.open(done.folder)  # its time of change tells
    assert install(kit).record == read_record(done.folder)
    Kit.open(done.folder).verify()


def test_a_kit_that_an_interrupted_installation_left_is_not_taken_for_another(bring: Bring, fingerprint: str) -> None:
    left = install(bring("1", seed=None, edgefuse="9.9"), allow_unsigned=True)
    record_path(left.folder).unlink()  # as if it had been killed before that was written
    kit = bring("1")
    done = install(kit, fingerprint=fingerprint)
    assert done.record.digest == Kit.open(done.folder).digest == Kit.open(kit).digest
    assert tree(done.folder) == tree(kit)


def test_the_signature_of_a_kit_that_came_without_is_taken_over(bring: Bring, fingerprint: str) -> None:
    assert install(bring("1", seed=None), allow_unsigned=True).record.signer is None
    done = install(bring("1"), fingerprint=fingerprint)
    assert (done.record.signer, (done.folder / "kit.json.sig").is_file()) == (fingerprint, True)
    Kit.open(done.folder).verify()


@pytest.mark.parametrize("seed", [None, 2])
def test_a_signed_kit_stays_signed_when_it_comes_again_without(
    bring: Bring, fingerprint: str, seed: int | None
) -> None:
    kit = bring("1")
    install(kit, fingerprint=fingerprint)
    done = install(bring("1", seed=seed), allow_unsigned=True)
    assert done.record.signer == fingerprint
    assert (done.folder / "kit.json.sig").read_bytes() == (kit / "kit.json.sig").read_bytes()


def test_a_damaged_kit_that_comes_again_with_a_foreign_signature_is_not_called_signed(
    bring: Bring, fingerprint: str
) -> None:
    done = install(bring("1"), fingerprint=fingerprint)
    (done.folder / "golden" / "0.txt").unlink()
    assert install(bring("1", seed=2), allow_unsigned=True).record.signer is None


def test_a_file_that_was_only_touched_is_hashed_and_right(bring: Bring, fingerprint: str) -> None:
    done = install(bring(), fingerprint=fingerprint)
    os.utime(done.folder / "text.gguf", ns=(1, 1))
    Kit.open(done.folder)


def test_a_kit_without_what_an_answer_needs_does_not_take_the_place_of_one_that_answers(
    bring: Bring, fingerprint: str
) -> None:
    install(bring("1"), fingerprint=fingerprint)
    with pytest.raises(BadInput, match="other classes"):
        install(bring("2", classes=["a", "b", "c"]))
    assert [(item.record.version, item.in_use) for item in installed()] == [("1", True)]


def test_too_little_disk_or_memory_is_told_before_the_first_byte(
    bring: Bring, fingerprint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DoesNotFit, match=r"needs 1000000\.00 GB of memory and this machine has"):
        install(bring(budget={"ram_bytes": 10**15}), fingerprint=fingerprint)
    full = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: full)
    with pytest.raises(DoesNotFit, match=r"of disk and .* has 1 kB free; make room"):
        install(bring(), fingerprint=fingerprint)
    assert not home().exists()


def test_two_cannot_change_the_store_at_once(bring: Bring, fingerprint: str) -> None:
    kit = bring()
    with installing.locked_store(), pytest.raises(BadInput, match="Another edgefuse is installing or removing a kit"):
        install(kit, fingerprint=fingerprint)
