"""The newest pictures of the places where cameras, phones and sticks put them."""

from __future__ import annotations

import getpass
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgefuse.batch.samples import PICTURES
from edgefuse_runtimes.files import home_folder

USUAL = {"PICTURES": "Pictures", "DESKTOP": "Desktop", "DOWNLOAD": "Downloads"}
"""Folders below the home, by the names that the desktop's settings have for them."""
MEDIA = (Path("/media"), Path("/run/media"))
DEPTH = 5
"""Folders inside each other; a camera's card needs two (DCIM/100CANON)."""
SECONDS = 3.0
"""A slow stick with thousands of files must not keep a person waiting."""


@dataclass(frozen=True)
class Found:
    """A picture on the disk."""

    path: Path
    changed: float
    """When its file was last changed, in seconds since 1970."""


def usual_folders() -> list[Path]:
    """Folders for pictures of this user that exist, and what is plugged in."""
    folders: list[Path] = []
    with suppress(FileNotFoundError):
        home = home_folder()
        named = _named_by_the_desktop(home)
        folders += [named.get(kind, home / name) for kind, name in USUAL.items()]
    with suppress(KeyError, OSError):  # a user without a name
        user = getpass.getuser()
        folders += [media / user for media in MEDIA]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def newest_pictures(folders: Sequence[Path], seconds: float = SECONDS) -> list[Found]:
    """Pictures in the folders and those inside them, the newest first; of what can be looked through in the time."""
    until = time.monotonic() + seconds
    found = {}
    for picture in _pictures(folders):
        found[picture.path] = picture
        if time.monotonic() > until:
            break
    return sorted(found.values(), key=lambda picture: (-picture.changed, picture.path))


def _pictures(folders: Sequence[Path]) -> Iterator[Found]:
    """Level by level in all folders alike, hidden ones and links to folders left out."""
    waiting = deque((folder, 1) for folder in folders)
    while waiting:
        folder, depth = waiting.popleft()
        with suppress(OSError), os.scandir(folder) as entries:  # one that may not be read, or was unplugged meanwhile
            for entry in entries:
                with suppress(OSError):
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if depth < DEPTH:
                            waiting.append((Path(entry.path), depth + 1))
                    elif Path(entry.name).suffix.lower() in PICTURES and entry.is_file():
                        yield Found(Path(entry.path), entry.stat().st_mtime)


def _named_by_the_desktop(home: Path) -> dict[str, Path]:
    """Folders by kind, from what xdg-user-dirs wrote: in a German desktop ~/Bilder are the pictures."""
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    named = {}
    with suppress(OSError, ValueError):
        for line in (config / "user-dirs.dirs").read_text(encoding="utf-8").splitlines():
            name, _, value = line.strip().partition("=")
            kind = name.removeprefix("XDG_").removesuffix("_DIR")
            path = Path(value.strip('"').replace("$HOME", str(home)))
            if kind in USUAL and path != home:  # a kind without a folder of its own is the home itself
                named[kind] = path
    return named
