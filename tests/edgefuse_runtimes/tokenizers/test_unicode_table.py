"""The committed classes of characters do not depend on the Python that runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from edgefuse_runtimes.tokenizers.normalize import lower_case, normal_form
from edgefuse_runtimes.tokenizers.tokenizers_table import ACCENTS, CONTROLS, PUNCTUATION, UNKNOWN_MARKS
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


def test_berts_classes_are_those_of_tokenizers() -> None:
    library = pytest.importorskip("tokenizers", reason="the reference for BERT's classes")
    off = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    clean = library.normalizers.BertNormalizer(**off | {"clean_text": True})
    strip = library.normalizers.BertNormalizer(**off | {"strip_accents": True})
    words = library.pre_tokenizers.BertPreTokenizer()
    for code in (code for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000):
        text = f"a{chr(code)}b"
        assert within(CONTROLS, code) == (clean.normalize_str(text) == "ab"), hex(code)
        assert within(ACCENTS, code) == (strip.normalize_str(text) == "ab"), hex(code)
        assert within(PUNCTUATION, code) == (len(words.pre_tokenize_str(text)) == 3), hex(code)


def test_normal_forms_and_case_are_those_of_tokenizers() -> None:
    library = pytest.importorskip("tokenizers", reason="the reference for normal forms")
    lower = library.normalizers.Lowercase()
    forms = {"NFC": library.normalizers.NFC(), "NFD": library.normalizers.NFD()}
    for code in range(sys.maxunicode + 1):
        letter = chr(code)
        category = unicodedata.category(letter)
        if category == "Cs":
            continue
        assert lower_case(letter) == lower.normalize_str(letter), hex(code)
        texts = [f"a{letter}", f"a\u0323{letter}", f"a{letter}\u0323", f"a\u0301{letter}"]
        for name, form in forms.items():
            for text in texts if category[0] == "M" else texts[:1]:
                assert normal_form(name, text) == form.normalize_str(text), hex(code)  # type: ignore[arg-type]


FINGERPRINT = """
import hashlib, sys, types
for name in ("edgefuse_runtimes", "edgefuse_runtimes.tokenizers"):  # empty packages, so that nothing else is needed
    package = types.ModuleType(name)
    package.__path__ = [sys.argv[1] + "/" + name.replace(".", "/")]
    sys.modules[name] = package
from edgefuse_runtimes.tokenizers.normalize import lower_case, normal_form
from edgefuse_runtimes.tokenizers.presplit import PRESPLITS, PRESPLITS_OF_TOKENIZERS
assert "numpy" not in sys.modules
digest = hashlib.sha256()
tables = dict.fromkeys(each.stand_ins for each in (*PRESPLITS.values(), *PRESPLITS_OF_TOKENIZERS.values()))
for start in (*range(0, 0x33000, 0x1000), 0xE0000):  # beyond are private and unassigned characters only
    letters = [chr(code) for code in range(start, start + 0x1000) if not 0xD800 <= code < 0xE000]
    text = " ".join(letters)
    marked = "".join("a\u0323%s e%s\u0323 a\u0301%s " % (letter, letter, letter) for letter in letters)
    for table in tables:
        digest.update(text.translate(table).encode())
    for form in ("NFC", "NFD"):
        digest.update(normal_form(form, marked).encode())
    digest.update(lower_case(text).encode())
print(digest.hexdigest())
"""


def test_every_python_gives_the_same(other_pythons: list[Path]) -> None:
    """All that an id takes from Unicode, for every assigned character, on each Python that is here."""
    command = ["-c", FINGERPRINT, str(SCRIPT.parents[1] / "runtimes")]
    fingerprints = {
        subprocess.run([python, *command], check=True, capture_output=True, text=True).stdout
        for python in (Path(sys.executable), *other_pythons)
    }
    assert len(fingerprints) == 1


@pytest.fixture(scope="module")
def other_pythons() -> list[Path]:
    """Other versions of Python on the PATH or in ~/.pyenv, one of each."""
    versions = {f"3.{minor}" for minor in (10, 11, 12, 13)} - {f"3.{sys.version_info[1]}"}
    found = {}
    for version in sorted(versions):
        on_path = shutil.which(f"python{version}")
        for python in [
            *([Path(on_path)] if on_path else []),
            *Path.home().glob(f".pyenv/versions/{version}.*/bin/python"),
        ]:
            asked = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
            if subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() == version:
                found[version] = python
    if not found:
        pytest.skip("needs another Python 3.10 to 3.13 on the PATH or in ~/.pyenv")
    return list(found.values())


def test_marks_unknown_to_tokenizers_are_marks_that_came_late() -> None:
    assert not within(UNKNOWN_MARKS, 0x0301)
    assert within(UNKNOWN_MARKS, 0x1E4EC)  # Unicode 15


def test_the_table_of_tokenizers_is_what_the_script_writes(python_3_13: Path) -> None:
    has_tokenizers = subprocess.run([python_3_13, "-c", "import tokenizers"], capture_output=True, check=False)
    if has_tokenizers.returncode:
        pytest.skip("needs the library tokenizers beside Python 3.13")
    subprocess.run([python_3_13, SCRIPT.with_name("make_tokenizers_table.py"), "--check"], check=True)
