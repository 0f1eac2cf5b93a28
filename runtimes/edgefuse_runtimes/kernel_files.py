"""Short files of /proc and /sys, which may be missing, forbidden, or fail while they are read."""

from __future__ import annotations

from pathlib import Path


def line(path: Path) -> str | None:
    """The file's text without the blanks and zero bytes around it; None where it cannot be read, or is empty."""
    try:
        return path.read_text(errors="replace").strip("\0 \t\n") or None
    except OSError:
        return None


def number(path: Path) -> int | None:
    """The whole number in the file; None where there is none."""
    text = line(path)
    try:
        return int(text) if text else None
    except ValueError:
        return None
