"""The page that says where each fact of the method is in the code names files and tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROWS = re.compile(r"^\| (?!fact |---)(.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
TESTS = re.compile(r"`(tests/[^`]+)`: (.+?)(?=; `tests/|$)")


@pytest.fixture(scope="module")
def rows(root: Path) -> list[tuple[str, ...]]:
    """Fact, code and tests of every row."""
    text = (root / "docs" / "explanation" / "method-in-the-code.md").read_text(encoding="utf-8")
    found = ROWS.findall(text)
    assert len(found) == sum(line.startswith("| ") for line in text.splitlines()) - 2 * text.count("| --- | --- |")
    return found


def test_every_module_exists(rows: list[tuple[str, ...]], root: Path) -> None:
    for fact, code, _ in rows:
        modules = re.findall(r"`([^`]+)`", code)
        assert modules, fact
        assert [name for name in modules if not (root / name).is_file()] == [], fact


def test_every_test_exists(rows: list[tuple[str, ...]], root: Path) -> None:
    for fact, _, cell in rows:
        files = TESTS.findall(cell)
        assert len(files) == cell.count("`tests/") > 0, fact
        for file, names in files:
            source = (root / file).read_text(encoding="utf-8")
            for words in names.split("; "):
                assert f"def test_{words.replace(' ', '_')}(" in source, f"{file}: {words}"
