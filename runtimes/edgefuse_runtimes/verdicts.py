"""What probes found, kept from one start to the next: a small file for each verdict.

A file of its own for each, so that processes that write at once lose nothing and need no lock.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from edgefuse_runtimes.files import cache_home, write_json

MOST = 200
"""Files that are kept; beyond it those written first go, and cost a probe if they are asked for again."""


@dataclass(frozen=True)
class Verdict:
    """What a probe found."""

    trusted: bool
    reason: str
    """Why not; "" when trusted."""
    info: dict[str, Any] = field(default_factory=dict)
    """What the engine said of itself while it was tried; empty where it did not come so far."""


@dataclass(frozen=True)
class Record:
    """A remembered verdict, and what it is about."""

    engine: str
    library: str
    """The library and its version."""
    file: str
    """Full path of the encoder's file where it was tried."""
    sha256: str
    """Of that file, as its description says."""
    threads: int
    memory: str
    processor: str
    python: str
    trusted: bool
    reason: str
    info: dict[str, Any]

    @property
    def verdict(self) -> Verdict:
        """The verdict alone."""
        return Verdict(self.trusted, self.reason, self.info)


def verdicts_folder() -> Path:
    """Where the verdicts of this user are kept.

    Raises:
        FileNotFoundError: there is no such place, since nothing tells the user's home.
    """
    return cache_home() / "probes"


def recall(key: str) -> Verdict | None:
    """The verdict that was remembered under `key`; None where there is none that can be read."""
    with suppress(OSError):
        record = _read(_path(key))
        return None if record is None else record.verdict
    return None


def remember(key: str, record: Record) -> None:
    """Keep `record` under `key`, a plain name, in the place of an older one."""
    with suppress(OSError):  # a read-only home or none costs a probe each time, never an answer
        write_json(_path(key), asdict(record))
        _prune()


def records() -> list[Record]:
    """All that is remembered, the latest last."""
    return [record for path in _oldest_first() if (record := _read(path)) is not None]


def forget(chosen: Callable[[Record], bool]) -> list[Record]:
    """Remove the records that are `chosen`, and return them.

    Raises:
        OSError: one cannot be removed.
    """
    found = [(path, record) for path in _oldest_first() if (record := _read(path)) is not None and chosen(record)]
    for path, _ in found:
        path.unlink(missing_ok=True)
    return [record for _, record in found]


def _path(key: str) -> Path:
    return verdicts_folder() / f"{key}.json"


def _read(path: Path) -> Record | None:
    """The record in a file; None where the file holds anything else, since probing again is always right."""
    try:
        record = Record(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    kinds: dict[str, type] = {"threads": int, "trusted": bool, "info": dict}
    right = all(type(getattr(record, item.name)) is kinds.get(item.name, str) for item in fields(Record))
    return record if right else None


def _oldest_first() -> list[Path]:
    """Every file of the folder, also one that a killed process left half written."""
    found = []
    with suppress(OSError):
        for path in verdicts_folder().iterdir():
            with suppress(OSError):  # removed by another process just now
                found.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(found)]


def _prune() -> None:
    for path in _oldest_first()[:-MOST]:
        path.unlink(missing_ok=True)
