"""The files that a process and its workers have read: what an answer after switching on must read from the disk."""

from __future__ import annotations

import sys
from pathlib import Path

from edgefuse_bench.memory import PROC, process_tree


def files_in_use(pid: int, proc: Path = PROC) -> list[str]:
    """Files that the process and its workers have mapped, and the modules that this process imported."""
    mapped = {line.split(maxsplit=5)[5].rstrip() for one in process_tree(pid, proc) for line in _maps(proc / str(one))}
    modules = [
        vars(module) for module in list(sys.modules.values())
    ]  # getattr would wake modules that answer to any name
    imported = (names.get(name) for names in modules for name in ("__file__", "__cached__"))
    paths = {*mapped, *(path for path in imported if path)}
    return sorted(path for path in paths if path.startswith("/") and Path(path).is_file())


def _maps(folder: Path) -> list[str]:
    """Lines of files that a process has mapped."""
    try:
        lines = (folder / "maps").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []
    return [line for line in lines if len(line.split(maxsplit=5)) == 6]
