"""What installing a kit left beside it: who signed it, and when its files were last written."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from edgefuse_runtimes.files import write_json

SCHEMA = 1
UNSIGNED = "This kit was installed with --allow-unsigned: nobody's signature stands for it."
REVOKED = "This kit was signed by {}, a key that this device does not trust any more: ask for another kit."


@dataclass(frozen=True)
class Record:
    """Of one installed version of a kit."""

    name: str
    version: str
    digest: str
    signer: str | None
    """Fingerprint of the trusted key that signed it; None: it was taken without."""
    sequence: int
    """Versions of one kit are numbered as they are installed, since a device may have no clock."""
    written_ns: Mapping[str, int]
    """For each file the time of its last change, when it was known to be right."""

    def remarks(self, trusted: Collection[str]) -> list[str]:
        """What every answer of the kit must say, where the device trusts the keys of these fingerprints."""
        if self.signer is None:
            return [UNSIGNED]
        return [] if self.signer in trusted else [REVOKED.format(self.signer)]


def record_path(folder: Path) -> Path:
    """Where the record of the kit in `folder` is."""
    return folder.with_name(f"{folder.name}.installed.json")


def read_record(folder: Path) -> Record | None:
    """The record of the kit in `folder`; None where it was not installed, or the record cannot be read."""
    try:
        said = json.loads(record_path(folder).read_bytes())
        record = Record(**{name: value for name, value in said.items() if name != "schema"})
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    right = isinstance(record.written_ns, dict) and isinstance(record.sequence, int)
    return record if right and (record.signer is None or isinstance(record.signer, str)) else None


def write_record(folder: Path, record: Record) -> None:
    """Keep the record of the kit that is, or will be, in `folder`."""
    write_json(record_path(folder), {"schema": SCHEMA} | asdict(record))
