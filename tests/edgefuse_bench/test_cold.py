"""Files are dropped from the page cache, where the file system has one."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgefuse_bench.cold import cached_bytes, drop, remark, settle
from edgefuse_bench.files_in_use import files_in_use

MIB = 2**20


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    path.write_bytes(b"x" * (4 * MIB))
    if subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True, check=True).stdout == "tmpfs\n":
        pytest.skip("a file in tmpfs lies in memory and nowhere else")
    return path


def test_pages_that_were_just_written_are_dropped(file: Path) -> None:
    assert cached_bytes([str(file)]) == 4 * MIB

    settle([str(file)])
    drop([str(file)])

    assert cached_bytes([str(file)]) == 0


def test_reading_brings_pages_back(file: Path) -> None:
    settle([str(file)])
    drop([str(file)])
    with file.open("rb") as opened:
        opened.read(mmap.PAGESIZE)

    assert mmap.PAGESIZE <= cached_bytes([str(file)]) <= 4 * MIB


def test_pages_that_a_process_has_mapped_stay(file: Path) -> None:
    mapped = np.memmap(file, np.uint8, "r")
    assert mapped[:: mmap.PAGESIZE].sum() > 0

    drop([str(file)])

    assert cached_bytes([str(file)]) == 4 * MIB


def test_what_is_no_file_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    names = [str(tmp_path / name) for name in ("missing", "empty")]

    settle(names)
    drop(names)

    assert cached_bytes(names) == 0


def test_libraries_and_modules_are_in_use() -> None:
    found = files_in_use(os.getpid())

    assert any("libopenblas" in Path(path).name or "_multiarray_umath" in path for path in found)
    assert np.__file__ in found
    assert os.path.realpath(sys.executable) in map(os.path.realpath, found)
    assert all(Path(path).is_file() for path in found)


def test_of_files_of_others_the_kernel_does_not_tell(file: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    monkeypatch.setattr(os, "access", lambda *_: False)

    assert cached_bytes([str(file)]) == 0
    assert "of 1 of these files, which other users own, the kernel does not tell" in remark([str(file)], 0, [0])


def test_the_remark_says_what_stayed(file: Path) -> None:
    sentence = remark([str(file)] * 2, 300 * MIB, [20 * MIB, 35 * MIB])

    assert "2 files" in sentence
    assert "other users" not in sentence
    assert "300 MiB" in sentence
    assert "up to 35 MiB stayed" in sentence
