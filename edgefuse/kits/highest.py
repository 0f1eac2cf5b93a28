"""The highest version of each kit that was ever installed here: removing a kit does not open the way to an older one.

home/kits/highest.json     {"schema": 1, "versions": {NAME: VERSION}}
"""

from __future__ import annotations

from pathlib import Path

from edgefuse.kits.store import HIGHEST, installed, kits_folder, version_key
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import read_json, write_json

SCHEMA = 1


def highest_version(name: str) -> str | None:
    """The highest version of the kit that is or ever was installed; None: none was.

    Raises:
        BadInput: what is remembered cannot be read; it is never passed over, since then an older kit would be taken.
    """
    remembered = _remembered().get(name)
    there = [item.record.version for item in installed() if item.record.name == name]
    return max([*there, *([] if remembered is None else [remembered])], key=version_key, default=None)


def remember(name: str, version: str) -> None:
    """Keep that this version was installed, if no higher one was; the store must be locked."""
    known = _remembered()
    if name in known and version_key(version) <= version_key(known[name]):
        return
    write_json(_path(), {"schema": SCHEMA, "versions": known | {name: version}})


def _remembered() -> dict[str, str]:
    path = _path()
    if not path.exists():
        return {}
    remedy = "remove it, and mind yourself that no kit is older than the one before"
    versions = read_json(path, remedy).get("versions")
    if not isinstance(versions, dict) or not all(isinstance(version, str) for version in versions.values()):
        raise BadInput(f"{path} is damaged and names no versions; {remedy}.")
    return versions


def _path() -> Path:
    return kits_folder() / HIGHEST
