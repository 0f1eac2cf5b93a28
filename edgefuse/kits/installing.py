"""A kit comes into the store: checked first, written beside what is there, verified there, then put into use."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from edgefuse.home import home
from edgefuse.kits.brought import Brought, open_brought
from edgefuse.kits.highest import highest_version, remember
from edgefuse.kits.kit import Kit
from edgefuse.kits.manifest import MANIFEST, SIGNATURE
from edgefuse.kits.record import Record, read_record, write_record
from edgefuse.kits.room import require_room
from edgefuse.kits.signature import Confirm, Trust, no_one, require_trust, signer_of
from edgefuse.kits.source import Source, check_files, copy_file, hash_files
from edgefuse.kits.store import (
    Installed,
    installed,
    locked_store,
    objects_folder,
    put_into_use,
    remove_unused,
    set_aside,
    version_folder,
    version_key,
)
from edgefuse.progress import Progress, silent
from edgefuse.trust.keys import PublicKey
from edgefuse.trust.pinned import pin, pinned_keys
from edgefuse.trust.sshsig import can_check
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import new_file, sha256, write_bytes
from edgefuse_runtimes.folders import new_folder


@dataclass(frozen=True)
class Admitted:
    """A kit that may come in: somebody answers for it, and this device has room for it."""

    brought: Brought
    trust: Trust


def check(
    path: Path,
    *,
    fingerprint: str | None = None,
    allow_unsigned: bool = False,
    allow_downgrade: bool = False,
    confirm: Confirm = no_one,
    progress: Progress = silent,
) -> Admitted:
    """See whether `install` would take the kit: all is looked at and hashed, nothing is written or run.

    Raises:
        BadInput: it would not.
        DoesNotFit: there is too little disk or memory.
    """
    admitted = _admit(path, fingerprint=fingerprint, allow_unsigned=allow_unsigned, confirm=confirm)
    _check_version(admitted.brought.kit, allow_downgrade=allow_downgrade)
    hash_files(admitted.brought.source, admitted.brought.kit.files, progress)
    return admitted


def install(
    path: Path,
    *,
    fingerprint: str | None = None,
    allow_unsigned: bool = False,
    allow_downgrade: bool = False,
    confirm: Confirm = no_one,
    progress: Progress = silent,
) -> Installed:
    """Bring the kit at `path`, a folder or an archive, into the store and put it into use.

    What is in use stays so until the new version is whole and verified on this disk. Installing again what is
    installed already finishes what was interrupted, and repairs what was damaged.

    Args:
        path: of the kit.
        fingerprint: of a key that the user trusts from now on.
        allow_unsigned: take a kit that nobody signed whom this device knows.
        allow_downgrade: take a lower version than the highest one that was ever installed here.
        confirm: asks about the first key.
        progress: shows the step.

    Raises:
        BadInput: the kit is damaged or may not be trusted, or is an older one than allowed.
        DoesNotFit: there is too little disk or memory; nothing was written.
    """
    admitted = _admit(path, fingerprint=fingerprint, allow_unsigned=allow_unsigned, confirm=confirm)
    brought, trust, kit = admitted.brought, admitted.trust, admitted.brought.kit
    folder = version_folder(kit.name, kit.version)
    with locked_store():
        _check_version(kit, allow_downgrade=allow_downgrade)  # now that nobody else can bring another one
        try:
            total = sum(kit.hashes.values())
            for name in progress("installing", kit.files, total, size=lambda name: int(kit.files[name]["bytes"])):
                _store_object(brought.source, kit, name)
            if folder.is_dir() and not _is_whole(folder, brought):
                set_aside(folder)
            if not folder.is_dir():
                with new_folder(folder) as part:
                    _fill(part, brought)
                    Kit.open(part).require_complete()
            elif brought.signature is not None and (trust.signer or not (folder / SIGNATURE).exists()):
                # it came without a signature before, or with one of another key
                write_bytes(folder / SIGNATURE, brought.signature)
                (folder / SIGNATURE).chmod(0o444)
            write_record(folder, _record(Kit.open(folder), trust))
        finally:
            remove_unused()
        if trust.is_new and trust.signer is not None:
            pin(trust.signer)
        remember(kit.name, kit.version)
        return put_into_use(kit.name, kit.version)


def _admit(path: Path, *, fingerprint: str | None, allow_unsigned: bool, confirm: Confirm) -> Admitted:
    """See who answers for the kit, that all its files are there or here, and that there is room."""
    brought = open_brought(path)
    kit = brought.kit
    version_folder(kit.name, kit.version)  # it can have one
    specs = (kit.image, kit.text, *kit.alternatives)
    trust = require_trust(brought, fingerprint=fingerprint, allow_unsigned=allow_unsigned, confirm=confirm)
    there = frozenset(name for name in kit.hashes if (objects_folder() / name).is_file())
    check_files(brought.source, kit.files, may_lack=there)
    new_bytes = sum(size for name, size in kit.hashes.items() if name not in there)
    require_room(specs, new_bytes, home(), kit.budget.get("ram_bytes"))
    return Admitted(brought, trust)


def _check_version(kit: Kit, *, allow_downgrade: bool) -> None:
    """Refuse another kit of the same name and version, and a lower version than the highest one there ever was."""
    before = [item.record for item in installed() if item.record.name == kit.name]
    if any(record.version == kit.version and record.digest != kit.digest for record in before):
        raise BadInput(
            f"Another kit {kit.name} {kit.version} is installed already, with other content; pack this one under a new "
            f"--version, or remove the other first with 'edgefuse kits remove {kit.name}'."
        )
    highest = highest_version(kit.name)
    if highest is not None and version_key(kit.version) < version_key(highest) and not allow_downgrade:
        there = any(record.version == highest for record in before)
        back = f", or go back with 'edgefuse kits rollback {kit.name}'" if there else ""
        raise BadInput(
            f"The kit {kit.name} {kit.version} is older than version {highest}, which {'is' if there else 'was'} "
            f"installed; add --allow-downgrade if you mean it{back}."
        )


def _store_object(source: Source, kit: Kit, name: str) -> None:
    """Have a file of the kit in the store under its hash, read back from the disk and right."""
    wanted = kit.files[name]["sha256"]
    path = objects_folder() / wanted
    if path.is_file() and sha256(path) == wanted:
        return
    if name not in source.sizes:
        raise BadInput(
            f"The file {name}, which the kit {source.path} leaves to this device, is damaged here; install the whole "
            "kit."
        )
    with new_file(path) as written:
        copy_file(source, name, kit.files[name], written)
        os.fchmod(written.fileno(), 0o444)
    with path.open("rb") as stored:
        os.posix_fadvise(stored.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # what is hashed next comes from the disk
    if sha256(path) != wanted:
        path.unlink()
        raise BadInput(f"The disk below {path.parent} gives back other bytes than were written; use another one.")


def _fill(part: Path, brought: Brought) -> None:
    """The kit's folder: links to its objects, or copies where the file system has no links; nobody may write there."""
    write_bytes(part / MANIFEST, brought.manifest)
    if brought.signature is not None:
        write_bytes(part / SIGNATURE, brought.signature)
    for name, entry in brought.kit.files.items():
        (part / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(objects_folder() / entry["sha256"], part / name)
        except OSError:
            shutil.copyfile(objects_folder() / entry["sha256"], part / name)
    for path in (part, *part.rglob("*")):
        with contextlib.suppress(PermissionError):  # FAT has no modes
            path.chmod(0o755 if path.is_dir() else 0o444)


def _is_whole(folder: Path, brought: Brought) -> bool:
    """Whether the folder holds the very kit that was brought; an interrupted installation may have left another."""
    try:
        Kit.open(folder).verify()
    except BadInput:
        return False
    return (folder / MANIFEST).read_bytes() == brought.manifest


def _record(kit: Kit, trust: Trust) -> Record:
    known = read_record(kit.folder)
    signer = trust.signer or _known_signer(kit.folder)
    others = [item.record.sequence for item in installed() if item.record.name == kit.name]
    return Record(
        name=kit.name,
        version=kit.version,
        digest=kit.digest,
        signer=signer.fingerprint if signer else None,
        sequence=known.sequence if known else 1 + max(others, default=0),
        written_ns={name: kit.file(name).stat().st_mtime_ns for name in kit.files},
    )


def _known_signer(folder: Path) -> PublicKey | None:
    """The trusted key whose signature the installed kit has already: it stays signed when it comes again without."""
    with contextlib.suppress(BadInput):  # a signature that the card has damaged is none
        signer = signer_of(open_brought(folder)) if can_check() else None
        return signer if signer in pinned_keys() else None
    return None
