"""The files that a comparison or a report is made of."""

from __future__ import annotations

from pathlib import Path

from edgefuse_bench.result import Result, read_results
from edgefuse_runtimes.errors import BadInput


def read_file_or_folder(path: Path) -> list[Result]:
    """The results in a file, or in all files of a folder that end in .json, in the order of their names.

    Raises:
        BadInput: one of them is no result, or the folder has none.
    """
    if not path.is_dir():
        return read_results(path)
    files = sorted(path.glob("*.json"))
    if not files:
        raise BadInput(f"The folder {path} holds no .json file; write results into it by 'edgefuse bench run --json'.")
    return [result for file in files for result in read_results(file)]
