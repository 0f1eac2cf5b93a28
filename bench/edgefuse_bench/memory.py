"""What a process and its workers hold, read from /proc; standard library alone, since measured processes use it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Held:
    """Bytes of memory, of one process or of several together."""

    rss_bytes: int
    """Resident, pages that two processes share counted for each."""
    anon_bytes: int
    """RssAnon: memory of their own."""
    file_bytes: int
    """RssFile: file pages, which the system may drop."""
    peak_rss_bytes: int
    """VmHWM: the most that was ever resident; of several, the sum of what each ever held."""

    def to_json(self) -> dict[str, int]:
        """Plain JSON types."""
        return asdict(self)


def held_by(pid: int, proc: Path = PROC) -> Held:
    """What one process holds; zeros once it has ended."""
    kib = _figures(proc / str(pid) / "status")
    names = ("RssAnon", "RssFile", "RssShmem", "VmHWM")
    anon, file, shared, peak = (kib.get(name, 0) * 1024 for name in names)
    return Held(anon + file + shared, anon, file, peak)


def together(parts: Iterable[Held]) -> Held:
    """What several processes hold."""
    found = list(parts)
    return Held(
        sum(one.rss_bytes for one in found),
        sum(one.anon_bytes for one in found),
        sum(one.file_bytes for one in found),
        sum(one.peak_rss_bytes for one in found),
    )


def proportional_bytes(pid: int, proc: Path = PROC) -> int | None:
    """Pss: pages that n processes share count 1/n for each; None where it may not be read.

    The kernel walks all of the process's pages for it, which takes milliseconds for each gigabyte.
    """
    return None if (kib := _figures(proc / str(pid) / "smaps_rollup").get("Pss")) is None else kib * 1024


def process_tree(pid: int, proc: Path = PROC) -> list[int]:
    """The process and all below it that still run, itself first."""
    found = [pid]
    for one in found:  # grows while it is walked
        found += children(one, proc)
    return found


def children(pid: int, proc: Path = PROC) -> list[int]:
    """The processes that this one started and that have not ended."""
    tasks = proc / str(pid) / "task"
    try:
        lists = [(task / "children").read_text() for task in tasks.iterdir()]
    except FileNotFoundError:  # the process has ended, or the kernel keeps no such lists
        return _by_parent(pid, proc) if (proc / str(pid)).is_dir() else []
    except (ProcessLookupError, PermissionError):
        return []
    return [int(child) for line in lists for child in line.split()]


def _by_parent(pid: int, proc: Path) -> list[int]:
    """The same from every process's own word about its parent."""
    return [
        int(folder.name)
        for folder in proc.iterdir()
        if folder.name.isdecimal() and re.search(rf"^PPid:\s+{pid}$", _text(folder / "status"), re.MULTILINE)
    ]


def _figures(path: Path) -> dict[str, int]:
    return {name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+) kB$", _text(path), re.MULTILINE)}


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""
