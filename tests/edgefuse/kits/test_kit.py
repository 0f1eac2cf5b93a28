"""A kit is opened only when its manifest is untouched and its files are all there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgefuse.kits.kit import Kit
from edgefuse.kits.manifest import SCHEMA, write_manifest
from edgefuse_runtimes.errors import BadInput


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A kit that holds a head and one golden note, enough for `Kit.open`."""
    kit = tmp_path / "my.kit"
    (kit / "golden").mkdir(parents=True)
    (kit / "head.npz").write_bytes(b"the head")
    (kit / "golden" / "0.txt").write_text("a note")
    write_manifest(kit, {"name": "my", "version": "1", "classes": ["a", "b"]})
    return kit


def test_a_fresh_kit_opens_and_verifies(folder: Path) -> None:
    kit = Kit.open(folder)
    kit.verify()
    assert (kit.name, kit.version, kit.classes) == ("my", "1", ["a", "b"])
    assert kit.file("golden/0.txt").read_text() == "a note"


def test_every_changed_byte_of_the_manifest_is_seen(folder: Path) -> None:
    manifest = folder / "kit.json"
    whole = manifest.read_bytes()
    for position in range(len(whole)):
        for flip in (0x01, 0x20, 0x80):
            manifest.write_bytes(whole[:position] + bytes([whole[position] ^ flip]) + whole[position + 1 :])
            with pytest.raises(BadInput, match=r"damaged|newer|schema"):
                Kit.open(folder)


def test_other_white_space_is_seen_too(folder: Path) -> None:
    manifest = folder / "kit.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text())))
    with pytest.raises(BadInput, match="damaged"):
        Kit.open(folder)


def test_a_newer_schema_asks_for_an_upgrade(folder: Path) -> None:
    manifest = folder / "kit.json"
    manifest.write_text(manifest.read_text().replace(f'"schema": {SCHEMA}', f'"schema": {SCHEMA + 1}'))
    with pytest.raises(BadInput, match="upgrade edgefuse"):
        Kit.open(folder)


def test_a_missing_kit_and_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no kit at"):
        Kit.open(tmp_path / "nowhere.kit")
    with pytest.raises(BadInput, match="is not a kit"):
        Kit.open(tmp_path)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "golden" / "0.txt").unlink()
    with pytest.raises(BadInput, match=r"lacks the file golden/0\.txt"):
        Kit.open(folder)


def test_a_file_of_another_size_is_named(folder: Path) -> None:
    (folder / "golden" / "0.txt").write_text("another note")
    with pytest.raises(BadInput, match="wrong size"):
        Kit.open(folder)


def test_a_changed_head_is_seen_at_once_and_another_file_by_verify(folder: Path) -> None:
    (folder / "golden" / "0.txt").write_text("a mote")
    with pytest.raises(BadInput, match="sha256 differs"):
        Kit.open(folder).verify()
    (folder / "head.npz").write_bytes(b"the hand")
    with pytest.raises(BadInput, match="sha256 differs"):
        Kit.open(folder)


def test_only_listed_files_have_a_path(folder: Path) -> None:
    (folder / "stray.txt").write_text("not in the manifest")
    with pytest.raises(BadInput, match=r"lists no file stray\.txt"):
        Kit.open(folder).file("stray.txt")


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "golden/../../outside", "golden//0.txt", "a\\b", ""])
def test_a_path_that_leaves_the_kit_is_refused(folder: Path, name: str) -> None:
    (folder.parent / "outside").write_text("secret")
    shutil.copytree(folder, folder.parent / "evil.kit")
    rewrite = json.loads((folder / "kit.json").read_text())
    evil = folder.parent / "evil.kit"
    kit = Kit(evil, rewrite | {"files": {name: {"sha256": "", "bytes": 6}}})
    with pytest.raises(BadInput, match="outside itself"):
        kit.file(name)


def test_a_link_that_leaves_the_kit_is_refused(folder: Path) -> None:
    outside = folder.parent / "outside"
    outside.write_text("a note")
    (folder / "golden" / "0.txt").unlink()
    (folder / "golden" / "0.txt").symlink_to(outside)
    with pytest.raises(BadInput, match="outside itself"):
        Kit.open(folder)


@pytest.mark.parametrize("part", ["image", "text", "head", "drawn"])
def test_what_the_manifest_does_not_say_is_named(folder: Path, part: str) -> None:
    with pytest.raises(BadInput, match=r"does not say '(encoders|head|dataset)"):
        getattr(Kit.open(folder), part)


@pytest.mark.parametrize("schema", [None, 0, "1"])
def test_a_schema_that_never_was_is_damage(folder: Path, schema: object) -> None:
    manifest = folder / "kit.json"
    manifest.write_text(manifest.read_text().replace(f'"schema": {SCHEMA}', f'"schema": {json.dumps(schema)}'))
    with pytest.raises(BadInput, match="damaged"):
        Kit.open(folder)


def test_classes_that_are_not_the_heads_are_refused(tiny_kit: Path) -> None:
    kit = Kit.open(tiny_kit)
    with pytest.raises(BadInput, match="a head of other classes than its own"):
        _ = Kit(tiny_kit, kit.manifest | {"classes": ["a", "b", "c"]}).head


def test_encoders_in_the_place_of_each_other_are_refused(tiny_kit: Path) -> None:
    encoders = Kit.open(tiny_kit).manifest["encoders"]
    swapped = {"image": encoders["text"], "text": encoders["image"]}
    with pytest.raises(BadInput, match=r"'text\.gguf' stands in the place of the image encoder"):
        _ = Kit(tiny_kit, Kit.open(tiny_kit).manifest | {"encoders": swapped}).image
