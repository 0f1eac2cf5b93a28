"""The committed classes of characters do not depend on the Python that runs."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from edgefuse_runtimes.tokenizers.unicode_table import LETTERS, NUMBERS, SPACES, UNICODE_VERSION, within

SCRIPT = Path(__file__).resolve().parents[3] / "packaging" / "make_unicode_table.py"


def test_the_classes_are_those_of_every_character_this_python_knows() -> None:
    for code in range(sys.maxunicode + 1):
        category = unicodedata.category(chr(code))
        if category != "Cn":
            assert (within(LETTERS, code), within(NUMBERS, code)) == (
                category[0] == "L",
                category[0] == "N",
            ), hex(code)


def test_white_space_is_unicode_s_not_python_s() -> None:
    spaces = {chr(code) for code in range(sys.maxunicode + 1) if within(SPACES, code)}
    assert spaces == {chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()} - set("\x1c\x1d\x1e\x1f")


def test_unassigned_characters_have_no_class() -> None:
    newer_letter = 0x1C89  # Unicode 16
    assert not any(within(borders, newer_letter) for borders in (LETTERS, NUMBERS, SPACES))


def test_the_table_is_what_the_script_writes(python_3_13: Path) -> None:
    subprocess.run([python_3_13, SCRIPT, "--check"], check=True)


@pytest.mark.skipif(unicodedata.unidata_version == UNICODE_VERSION, reason="this Python has the pinned version")
def test_the_script_refuses_another_unicode_version() -> None:
    script = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True)
    assert script.returncode == 1
    assert f"the table is of {UNICODE_VERSION}" in script.stderr
