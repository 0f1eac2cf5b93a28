"""A kit that was brought to this device: its manifest was read and checked, its files were not touched yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgefuse.kits.kit import Kit
from edgefuse.kits.manifest import MANIFEST, SIGNATURE, read_manifest
from edgefuse.kits.source import Source, check_files, copy_file, open_source, read_small
from edgefuse_runtimes.files import write_bytes
from edgefuse_runtimes.folders import new_folder


@dataclass(frozen=True)
class Brought:
    """A kit in a folder or an archive; manifest and signature are read once: what is checked is what is kept."""

    source: Source
    manifest: bytes
    signature: bytes | None
    """None: nobody signed it."""
    kit: Kit
    """What the manifest says; of an archive no file can be asked for."""


def open_brought(path: Path) -> Brought:
    """The kit at `path`, a folder or an archive.

    Raises:
        BadInput: there is none, its manifest is damaged or says what none may say, or it holds more than plain files.
    """
    source = open_source(path)
    manifest = read_small(source, MANIFEST)
    signature = read_small(source, SIGNATURE) if SIGNATURE in source.sizes else None
    return Brought(source, manifest, signature, Kit(path, read_manifest(manifest, path)))


def write_out(brought: Brought, folder: Path) -> Kit:
    """The kit as the new folder `folder`, each file hashed as it is copied.

    Raises:
        BadInput: a file is missing, was added or changed, or `folder` exists.
    """
    files = brought.kit.files
    check_files(brought.source, files)
    with new_folder(folder) as part:
        write_bytes(part / MANIFEST, brought.manifest)
        if brought.signature is not None:
            write_bytes(part / SIGNATURE, brought.signature)
        for name, entry in files.items():
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            with (part / name).open("xb") as target:
                copy_file(brought.source, name, entry, target)
    return Kit.open(folder)
