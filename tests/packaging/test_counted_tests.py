"""Figures that tests tell are added up, and what failed or was skipped is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgefuse_packaging.counted_tests import read_told, run_tests
from edgefuse_runtimes.errors import BadInput

TESTS = """
import pytest

@pytest.mark.parametrize("number", [1, 2])
def test_kills(number, record_property):
    record_property("kills", number)
    record_property("seconds", 0.5)

def test_wrong(record_property):
    record_property("kills", 100)
    assert False

@pytest.fixture
def broken():
    raise OSError

def test_not_set_up(broken):
    pass

def test_elsewhere():
    pytest.skip("needs a Pi")
"""


def test_what_pytest_writes_is_read(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "--junitxml=told.xml", "--rootdir=.", "-p", "no:cacheprovider"]
    subprocess.run([*command, "test_some.py"], cwd=tmp_path, check=False, capture_output=True, env=dict(os.environ))

    told = read_told((tmp_path / "told.xml").read_bytes())

    assert told.passed == 2
    assert told.failed == ("test_some.test_wrong", "test_some.test_not_set_up")
    assert told.skipped == ("needs a Pi",)
    assert told.figures == {"kills": 3, "seconds": 1}


def test_tests_that_are_not_there() -> None:
    with pytest.raises(BadInput, match=r"There is no tests/nowhere\.py in .*; the proof runs in a clone"):
        run_tests(["tests/nowhere.py"], {})
