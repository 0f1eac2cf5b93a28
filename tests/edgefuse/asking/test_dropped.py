"""Whatever a terminal makes of a dragged file, its path is found."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, strategies

from edgefuse.asking.dropped import dropped_path

NAMES = [
    "img.jpg",
    "my wife's photo (1).jpg",
    'a "quoted" name.jpg',
    "Läsion 50%.png",
    "50%20off.jpg",
    "a\\b.jpg",
    "$x.jpg",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "written",
    [
        str,
        shlex.quote,
        lambda path: "".join(letter if letter.isalnum() or letter in "/._-" else f"\\{letter}" for letter in path),
        lambda path: f"file://{quote(path)}",
        lambda path: f"file://localhost{quote(path)}",
        lambda path: f"'file://{quote(path)}'",
    ],
    ids=["as it is", "quoted", "escaped", "URL", "URL with host", "URL in quotes"],
)
def test_every_way_to_write_a_path(tmp_path: Path, name: str, written: object) -> None:
    path = tmp_path / name
    path.touch()
    assert dropped_path(f" {written(str(path))} \n") == path


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/L\xe4sion.png"))
    path.touch()
    assert dropped_path(str(path)) == path
    assert dropped_path("file://" + quote(os.fsencode(path))) == path


def test_the_home_and_an_open_quote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "img.jpg").touch()
    assert dropped_path("~/img.jpg") == tmp_path / "img.jpg"
    assert dropped_path(f"'{tmp_path}/img.jpg") == tmp_path / "img.jpg"


@given(strategies.text())
def test_whatever_is_typed_is_some_path(words: str) -> None:
    assert isinstance(dropped_path(words), Path)
