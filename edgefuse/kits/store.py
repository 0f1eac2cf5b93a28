"""The installed kits of this user, each in one or more versions.

home/kits/NAME/VERSION/                 a kit, read-only; its files are links to
home/objects/SHA256                     a file that any number of kits have
home/kits/NAME/VERSION.installed.json   who signed it
home/kits/NAME/current                  names the version in use: replacing it is what an upgrade is
home/kits/highest.json                  the highest version of each kit that was ever installed
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from urllib.parse import quote

from edgefuse.home import closed_to_others, home
from edgefuse.kits.kit import Kit
from edgefuse.kits.manifest import MANIFEST, read_manifest
from edgefuse.kits.record import Record, read_record, record_path
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import make_folder, sync_folder, write_bytes

CURRENT = "current"
HIGHEST = "highest.json"
"""What `edgefuse.kits.highest` remembers: a name that no kit may have."""
GONE = ".gone"
"""At the end of the name of a version that is being removed."""


@dataclass(frozen=True)
class Installed:
    """One version of a kit in the store."""

    folder: Path
    record: Record
    in_use: bool
    """Whether it is the one that answers when this kit is asked."""


def kits_folder() -> Path:
    """Where the kits are."""
    return home() / "kits"


def objects_folder() -> Path:
    """Where the kits' files are, each under its sha256."""
    return home() / "objects"


def kit_folder(name: str, root: Path | None = None) -> Path:
    """Where a kit with all its versions is, or would be, below this user's or another home; any name may be asked for.

    Raises:
        BadInput: no kit of that name can be installed.
    """
    return (root or home()) / "kits" / _plain(name)


def version_folder(name: str, version: str) -> Path:
    """Where a version of a kit is, or would be; the names may be anything a manifest may say."""
    return kit_folder(name) / _plain(version)


def current_folder(kit: Path) -> Path | None:
    """The folder of the version in use of a kit in the store; None where `kit` is no folder of one."""
    try:
        version = (kit / CURRENT).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return kit / version if version and "/" not in version and not version.startswith(".") else None


def installed() -> list[Installed]:
    """All versions of all kits, by name and in the order in which they were installed."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for kit in sorted(entry for entry in kits_folder().iterdir() if entry.is_dir()):
            in_use = current_folder(kit)
            for folder in kit.iterdir():
                record = None if folder.name.startswith(".") or not folder.is_dir() else read_record(folder)
                if record is not None:
                    found.append(Installed(folder, record, folder == in_use))
    return sorted(found, key=lambda item: (item.record.name, item.record.sequence))


def versions_of(name: str) -> list[Installed]:
    """The installed versions of a kit, the latest installed last.

    Raises:
        BadInput: there is none.
    """
    found = [item for item in installed() if item.record.name == name]
    if not found:
        there = ", ".join(dict.fromkeys(item.record.name for item in installed())) or "none"
        raise BadInput(f"No kit {name!r} is installed (installed: {there}); see 'edgefuse kits list'.")
    return found


def switch(name: str, version: str | None = None) -> Installed:
    """Put a version of a kit into use: the one named, else the one in use already, else the latest.

    Raises:
        BadInput: it is not installed, or damaged, or another process is changing the store.
    """
    versions_of(name)  # before a lock makes folders
    with locked_store():
        return put_into_use(name, version)


def put_into_use(name: str, version: str | None = None) -> Installed:
    """`switch` for who has locked the store already."""
    versions = versions_of(name)
    chosen = next((item for item in versions if item.record.version == version), None)
    if version is None:
        chosen = next((item for item in versions if item.in_use), versions[-1])
    if chosen is None:
        there = ", ".join(item.record.version for item in versions)
        raise BadInput(f"The kit {name} is not installed in version {version!r} (installed: {there}); choose another.")
    Kit.open(chosen.folder)
    write_bytes(chosen.folder.parent / CURRENT, chosen.folder.name.encode() + b"\n")
    return Installed(chosen.folder, chosen.record, in_use=True)


def rollback(name: str) -> Installed:
    """Put the version into use that was installed before the one in use.

    Raises:
        BadInput: there is none, or it is damaged.
    """
    versions = versions_of(name)
    place = next((place for place, item in enumerate(versions) if item.in_use), len(versions))
    if place == 0:
        raise BadInput(f"No version of the kit {name} was installed before {versions[0].record.version}; it stays.")
    return switch(name, versions[place - 1].record.version)


def remove(name: str, version: str | None = None) -> list[Installed]:
    """Remove a version of a kit, or with None all of them; returns what is gone.

    Raises:
        BadInput: it is not installed, or it is the version in use of several.
    """
    versions = versions_of(name)
    going = [item for item in versions if version in (None, item.record.version)]
    if not going:
        raise BadInput(f"The kit {name} is not installed in version {version!r}; see 'edgefuse kits list'.")
    if len(going) < len(versions) and any(item.in_use for item in going):
        raise BadInput(
            f"Version {version} of the kit {name} is in use; choose another one first with 'edgefuse kits use {name} "
            "--version VERSION'."
        )
    with locked_store():
        for item in going:
            set_aside(item.folder)
            record_path(item.folder).unlink(missing_ok=True)
            item.folder.with_name(f"{item.folder.name}.tuned.json").unlink(missing_ok=True)
        kit = going[0].folder.parent
        if len(going) == len(versions):
            shutil.rmtree(kit)
        remove_unused()
    return going


def set_aside(folder: Path) -> None:
    """Remove a version's folder; at once, so that no half of a kit is ever found. The store must be locked."""
    gone = folder.with_name(f".{folder.name}{GONE}")
    folder.rename(gone)
    sync_folder(gone.parent)
    shutil.rmtree(gone)


@contextlib.contextmanager
def locked_store() -> Iterator[None]:
    """Keep other processes from changing the store; what a killed one left half done is cleared first.

    Raises:
        BadInput: another process is changing it.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(closed_to_others())
        for folder in (home(), kits_folder(), objects_folder()):
            make_folder(folder)
        lock = stack.enter_context((kits_folder() / ".lock").open("wb"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadInput(
                f"Another edgefuse is installing or removing a kit in {kits_folder()} at this moment; wait for it."
            ) from error
        parts = (objects_folder().glob(".*.part"), kits_folder().glob(".*.part"), kits_folder().glob("*/.*.part"))
        for leftover in chain.from_iterable(parts):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        for gone in kits_folder().glob(f"*/.*{GONE}"):
            shutil.rmtree(gone)
        yield


def remove_unused() -> None:
    """Remove the objects that no installed kit lists; the store must be locked."""
    used: set[str] = set()
    for item in installed():
        try:
            data = (item.folder / MANIFEST).read_bytes()
            used |= Kit(item.folder, read_manifest(data, item.folder)).hashes.keys()
        except (BadInput, OSError):
            return  # whatever a damaged kit lists may be needed to repair it
    for path in objects_folder().iterdir():
        if path.name not in used:
            path.unlink(missing_ok=True)


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """What versions are compared by: numbers as numbers, and 2.0-rc1 comes before 2.0."""
    parts = re.findall(r"[0-9]+|[a-z]+", version.lower())
    return (*((2, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts), (1, 0, ""))


def _plain(text: str) -> str:
    """A name that any file system takes: letters, digits, '_', '-' and '.', which does not come first."""
    name = quote(text, safe="").replace("~", "%7E")
    name = f"%2E{name[1:]}" if name.startswith(".") else name
    if len(name) > 200 or name in (CURRENT, HIGHEST) or name.endswith((".installed.json", ".tuned.json")):
        raise BadInput(f"A kit of the name or version {text!r} cannot be installed; pack it under a plain one.")
    return name
