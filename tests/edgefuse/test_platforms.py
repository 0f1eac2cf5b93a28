"""Where edgefuse runs; elsewhere one sentence says so."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from edgefuse import cli, platforms
from edgefuse.platforms import Platform, this_platform, unsupported

PI = Platform("Linux", "aarch64", 64, "little", "glibc 2.36", (3, 11, 2), "CPython")
ROOT = Path(__file__).resolve().parents[2]

REFUSED = {
    "Windows": ({"system": "Windows", "machine": "AMD64", "libc": ""}, "does not run on Windows yet; use WSL 2."),
    "macOS": ({"system": "Darwin", "machine": "arm64", "libc": ""}, "does not run on macOS yet"),
    "32-bit Arm": (
        {"machine": "armv7l", "bits": 32},
        "needs a 64-bit system, and this Python is a 32-bit one (armv7l)",
    ),
    "32-bit Python on a 64-bit kernel": ({"bits": 32}, "this Python is a 32-bit one (aarch64)"),
    "32-bit x86": ({"machine": "i686", "bits": 32}, "needs a 64-bit system"),
    "big-endian": ({"machine": "s390x", "byte_order": "big"}, "does not run on big-endian processors (s390x)"),
    "musl": ({"libc": ""}, "needs a Linux with glibc"),
    "PyPy": ({"implementation": "PyPy"}, "needs CPython 3.11 to 3.13, and this is PyPy 3.11.2"),
    "Python 3.10": ({"python": (3, 10, 13)}, "needs Python 3.11 to 3.13, and this is Python 3.10.13"),
    "Python 3.14": ({"python": (3, 14, 0)}, "needs Python 3.11 to 3.13, and this is Python 3.14.0"),
    "Python 2": ({"python": (2, 7, 18)}, "needs Python 3.11 to 3.13"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_elsewhere_one_sentence_says_what_to_do(name: str) -> None:
    changes, words = REFUSED[name]
    sentence = unsupported(dataclasses.replace(PI, **changes))
    assert sentence.startswith("edgefuse ")
    assert words in sentence
    assert sentence.endswith(".")
    assert "; " in sentence  # what is wrong; what to do
    assert "\n" not in sentence


@pytest.mark.parametrize(
    "changes", [{}, {"machine": "x86_64"}, {"python": (3, 12, 0)}, {"python": (3, 13, 9)}, {"libc": "glibc 2.28"}]
)
def test_there_nothing_is_said(changes: dict[str, Any]) -> None:
    assert unsupported(dataclasses.replace(PI, **changes)) == ""


def test_this_machine_is_one_of_them() -> None:
    found = this_platform()
    assert unsupported(found) == ""
    assert found.python == sys.version_info[:3]
    assert found.libc == os.confstr("CS_GNU_LIBC_VERSION")


@pytest.mark.parametrize("name", ["Windows", "musl", "Python 3.14"])
@pytest.mark.parametrize("verb", sorted(set(cli.VERBS) - {"doctor"}))
def test_every_verb_is_refused_there(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str, verb: str
) -> None:
    changes, words = REFUSED[name]
    monkeypatch.setattr(platforms, "this_platform", lambda: dataclasses.replace(PI, **changes))
    assert words in cli(verb).refusal


def test_help_and_version_are_shown_everywhere(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platforms, "this_platform", lambda: dataclasses.replace(PI, system="Windows"))
    assert cli("--version").code == 0
    assert "classify" in cli("--help").out


def test_the_classifier_is_refused_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import edgefuse

    monkeypatch.setattr(platforms, "this_platform", lambda: dataclasses.replace(PI, bits=32))
    with pytest.raises(platforms.BadInput, match="needs a 64-bit system"):
        _ = edgefuse.Classifier


def old_pythons() -> list[Path]:
    """Pythons of the machine that are too old and can still read this package's first files."""
    return sorted(Path.home().glob(".pyenv/versions/3.10.*/bin/python"))


@pytest.mark.parametrize("verb", [["classify", "x.jpg", "--note", "words"], ["doctor"]])
def test_a_real_python_that_is_too_old_gets_the_sentence(tmp_path: Path, verb: list[str]) -> None:
    if not old_pythons():
        pytest.skip("needs Python 3.10 in ~/.pyenv")
    shutil.copytree(Path(click.__file__).parent, tmp_path / "click")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (tmp_path, ROOT, ROOT / "runtimes")))}
    outcome = subprocess.run(
        [old_pythons()[-1], "-m", "edgefuse", *verb], env=environment, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == (1 if verb == ["doctor"] else 2), outcome.stderr
    said = " ".join((outcome.stdout + outcome.stderr).split())
    assert "edgefuse needs Python 3.11 to 3.13, and this is Python 3.10." in said
    assert "Traceback" not in said
