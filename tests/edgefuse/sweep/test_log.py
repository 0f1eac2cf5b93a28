"""The file of finished cells: it goes on after any interruption, and with nothing else than its own sweep."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgefuse.sweep.cells import Cell, Result
from edgefuse.sweep.log import CellsFile
from edgefuse_runtimes.errors import BadInput

INPUTS = {"table_sha256": "1" * 64, "match": "pca", "settings": {"epochs": 30}}
RESULTS = [Result(Cell("early", shift, 0), 0.5, 0.4, 7, 1.25) for shift in (-0.5, 0.0, 0.5)]


def _written(path: Path) -> bytes:
    with CellsFile(path, INPUTS) as file:
        for result in RESULTS:
            file.append(result)
    return path.read_bytes()


def test_what_was_appended_is_there_again(tmp_path: Path) -> None:
    _written(tmp_path / "cells.jsonl")
    with CellsFile(tmp_path / "cells.jsonl", INPUTS) as file:
        assert list(file.results.values()) == RESULTS


def test_a_file_cut_anywhere_goes_on_with_its_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "cells.jsonl"
    data = _written(path)
    for length in range(len(data)):
        path.write_bytes(data[:length])
        whole = max(data[:length].count(b"\n") - 1, 0)
        with CellsFile(path, INPUTS) as file:
            assert list(file.results.values()) == RESULTS[:whole]
            for result in RESULTS[whole:]:
                file.append(result)
        assert path.read_bytes() == data


def test_other_inputs_are_refused_and_named(tmp_path: Path) -> None:
    path = tmp_path / "cells.jsonl"
    data = _written(path)
    with pytest.raises(BadInput, match=r"other inputs \(match, settings differ\)"):
        CellsFile(path, INPUTS | {"match": "none", "settings": {"epochs": 3}})
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a shopping list", 1),
        (b"a shopping list\n", 1),
        (b'{"schema": 1, "sweep": ' + json.dumps(INPUTS).encode() + b"}\n[1]\n", 2),
        (b'{"schema": 1, "sweep": ' + json.dumps(INPUTS).encode() + b'}\n{"fusion": "middle", "shift": 0}\n', 2),
    ],
)
def test_somebody_elses_file_is_left_alone(tmp_path: Path, content: bytes, line: int) -> None:
    path = tmp_path / "cells.jsonl"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=f"Line {line} of .* is not of a sweep"):
        CellsFile(path, INPUTS)
    assert path.read_bytes() == content


def test_another_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cells.jsonl"
    path.write_bytes(json.dumps({"schema": 9, "sweep": INPUTS}).encode() + b"\n")
    with pytest.raises(BadInput, match="has schema 9, this edgefuse writes 1"):
        CellsFile(path, INPUTS)


def test_two_processes_do_not_write_one_file(tmp_path: Path) -> None:
    with CellsFile(tmp_path / "cells.jsonl", INPUTS), pytest.raises(BadInput, match="Another edgefuse is writing"):
        CellsFile(tmp_path / "cells.jsonl", INPUTS)
