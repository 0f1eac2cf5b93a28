"""The newest pictures come first, from the folders that people use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgefuse.asking import pictures
from edgefuse.asking.pictures import newest_pictures, usual_folders


def put(path: Path, changed: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (changed, changed))
    return path


def test_the_newest_comes_first_wherever_it_lies(tmp_path: Path) -> None:
    card, home = tmp_path / "card", tmp_path / "home"
    old = put(home / "old.png", 1e9)
    new = put(card / "DCIM" / "100CANON" / "IMG_1.JPG", 3e9)
    middle = put(home / "trip" / "middle.webp", 2e9)
    put(home / ".thumbnails" / "small.png", 4e9)
    put(home / ".hidden.png", 4e9)
    put(home / "letter.txt", 4e9)
    put(home / "a" / "b" / "c" / "d" / "e" / "too-deep.png", 4e9)
    (home / "again").symlink_to(home)
    found = newest_pictures([home, card, tmp_path / "unplugged"])
    assert [picture.path for picture in found] == [new, middle, old]
    assert [picture.changed for picture in found] == [3e9, 2e9, 1e9]


def test_a_folder_without_end_is_left_in_time(tmp_path: Path) -> None:
    for number in range(50):
        put(tmp_path / f"{number}.png", 1e9)
    assert len(newest_pictures([tmp_path], seconds=0)) == 1


def test_usual_folders_are_those_of_the_desktop_and_what_is_plugged_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, media = tmp_path / "home", tmp_path / "media"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(pictures, "MEDIA", (media, tmp_path / "run" / "media"))
    monkeypatch.setattr("getpass.getuser", lambda: "amina")
    for folder in (home / "Pictures", home / "Bilder", home / "Downloads", media / "amina", home / ".config"):
        folder.mkdir(parents=True)
    assert usual_folders() == [home / "Pictures", home / "Downloads", media / "amina"]
    settings = '# made by xdg-user-dirs-update\nXDG_PICTURES_DIR="$HOME/Bilder"\nXDG_DESKTOP_DIR="$HOME/"\n'
    (home / ".config" / "user-dirs.dirs").write_text(settings)
    assert usual_folders() == [home / "Bilder", home / "Downloads", media / "amina"]
