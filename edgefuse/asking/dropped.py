"""A path as a person gives it: typed, or dragged into the terminal, which writes it in a way of its own."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit


def dropped_path(words: str) -> Path:
    """The path that is meant: the first reading of the words that exists, else the likeliest one.

    Terminals write the path of a dragged file between quotes, with a backslash before each blank, or as a file:// URL.
    """
    plain = words.strip()
    readings = [plain, *_url(plain), *_quoted(plain)]
    paths = [Path(os.path.expanduser(reading)) for reading in readings if reading]  # noqa: PTH111 - raises nothing
    return next((path for path in paths if holds(path.exists)), paths[-1] if paths else Path(plain))


def holds(question: Callable[[], bool]) -> bool:
    """What a question about a path gives; False for one that can be none: far too long, or with a NUL."""
    try:
        return question()
    except (OSError, ValueError):
        return False


def _url(words: str) -> list[str]:
    bare = words.strip("'\"")
    if not bare.lower().startswith("file:"):
        return []
    try:
        return [os.fsdecode(unquote_to_bytes(urlsplit(bare).path))]
    except ValueError:
        return []


def _quoted(words: str) -> list[str]:
    """As a shell reads it."""
    try:
        parts = shlex.split(words)
    except ValueError:  # a quote that is not closed
        parts = [words.strip("'\"")]
    joined = " ".join(parts)
    return [*_url(joined), joined]
