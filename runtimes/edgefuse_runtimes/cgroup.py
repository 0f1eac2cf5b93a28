"""How much memory and processor time the control groups of this process leave it, in both versions of the interface.

Sources: cgroups(7); the kernel's Documentation/admin-guide/cgroup-v1/memory.rst, cgroup-v2.rst and
Documentation/scheduler/sched-bwc.rst.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc/self")

UNLIMITED = 1 << 60
"""Bytes; version 1 writes the largest multiple of a page where nothing is limited."""


@dataclass(frozen=True)
class GroupMemory:
    """The memory of one control group that has a limit."""

    folder: Path
    limit_bytes: int
    used_bytes: int
    """Of all its processes, less the file pages, which the kernel takes back before it ends a process."""

    @property
    def available_bytes(self) -> int:
        """What its processes may still take."""
        return max(0, self.limit_bytes - self.used_bytes)


@dataclass(frozen=True)
class _Names:
    """What one version of the interface calls its files and figures."""

    limits: tuple[str, ...]
    usage: str
    file_pages: tuple[str, ...]
    """Figures of memory.stat that add up to the file pages; pages of tmpfs, which no file backs, are not in them."""


_NAMES = {
    "cgroup": _Names(("memory.limit_in_bytes",), "memory.usage_in_bytes", ("total_active_file", "total_inactive_file")),
    # Over memory.high nothing is ended, but everything slows to a crawl.
    "cgroup2": _Names(("memory.max", "memory.high"), "memory.current", ("active_file", "inactive_file")),
}


def limited_groups(proc: Path = PROC) -> list[GroupMemory]:
    """The groups with a memory limit that hold this process, from its own one outwards; none outside Linux.

    Args:
        proc: the process's folder below /proc.
    """
    found = []
    for kind, folder in _folders(proc, "memory"):
        memory = _read(folder, _NAMES[kind])
        if memory is not None:
            found.append(memory)
    return found


def cpu_limit(proc: Path = PROC) -> float | None:
    """How many cores' worth of time the groups that hold this process give it at the most; None where none limits it.

    A group of 0.5 may keep two threads busy for a quarter of every period; then both stand still until the next one.

    Args:
        proc: the process's folder below /proc.
    """
    limits = [limit for kind, folder in _folders(proc, "cpu") if (limit := _cores(kind, folder)) is not None]
    return min(limits, default=None)


def _cores(kind: str, folder: Path) -> float | None:
    """The quota of a period by the period, both in microseconds."""
    if kind == "cgroup":
        quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    else:
        words = " ".join(_lines(folder / "cpu.max")).split()
        quota, period = (int(word) if word.isdecimal() else None for word in words) if len(words) == 2 else (None, None)
    return quota / period if quota and period else None


def _folders(proc: Path, controller: str) -> Iterator[tuple[str, Path]]:
    """Kind and folder of each group that this process is in, each hierarchy's own group first, then its parents."""
    groups = _memberships(proc, controller)
    for kind, root, mount in _mounts(proc, controller):
        if kind not in groups:
            continue
        # A container may see its own group as the root of what is mounted, and be told the path from the host's.
        inside = groups[kind].removeprefix(root.rstrip("/")) if _is_below(groups[kind], root) else "/"
        folder = mount / inside.lstrip("/")
        while folder != mount and not folder.is_dir():
            folder = folder.parent
        yield kind, folder
        while folder != mount:
            folder = folder.parent
            yield kind, folder


def _memberships(proc: Path, controller: str) -> dict[str, str]:
    """The group's path per kind, of lines such as "4:memory:/a/b" (version 1) and "0::/a/b" (version 2)."""
    groups: dict[str, str] = {}
    for line in _lines(proc / "cgroup"):
        _, controllers, path = line.split(":", 2)
        if not controllers:
            groups["cgroup2"] = path
        elif controller in controllers.split(","):
            groups["cgroup"] = path
    return groups


def _mounts(proc: Path, controller: str) -> Iterator[tuple[str, str, Path]]:
    """Kind, root within the hierarchy, and place of each mounted hierarchy that may have the controller."""
    for line in _lines(proc / "mountinfo"):
        place, _, source = line.partition(" - ")
        kind, _, options = source.partition(" ")
        if kind == "cgroup2" or (kind == "cgroup" and controller in re.split(r"[ ,]", options)):
            root, mount = (_unescaped(part) for part in place.split(" ")[3:5])
            yield kind, root, Path(mount)


def _is_below(path: str, root: str) -> bool:
    return root == "/" or path == root or path.startswith(f"{root}/")


def _unescaped(name: str) -> str:
    """A name of mountinfo, where blanks and the like are written in octal."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), name)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []


def _read(folder: Path, names: _Names) -> GroupMemory | None:
    """The group's memory, or None where it has no limit."""
    limits = [value for name in names.limits if (value := _number(folder / name)) is not None and value < UNLIMITED]
    used = _number(folder / names.usage)
    if not limits or used is None:
        return None
    figures = dict(line.split(" ", 1) for line in _lines(folder / "memory.stat") if " " in line)
    file_pages = sum(int(figures.get(name, "0")) for name in names.file_pages)
    return GroupMemory(folder, min(limits), max(0, used - file_pages))


def _number(path: Path) -> int | None:
    """The number in a file; None where there is no file, or "max"."""
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].isdecimal() else None
