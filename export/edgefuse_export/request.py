"""What an export is asked to make: equal requests give the same encoder, so that none is made twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from edgefuse.kits.encoders import SPECS, Encoders
from edgefuse.progress import Progress, silent
from edgefuse_export.sources import files_of, remember_hash, tool_versions
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import read_json
from edgefuse_runtimes.folders import remove_leftover, require_new
from edgefuse_runtimes.spec import Modality

Request = dict[str, Any]
"""Plain JSON: `content`, the hash of all files of the source that count; `options`; `tools`, their versions."""

PIECE_BYTES = 8 << 20


def requests_of(
    encoders: Mapping[Modality, tuple[Path, dict[str, Any], list[str]]], progress: Progress = silent
) -> dict[str, Request]:
    """The requests for encoders, each given by its source, its options and the distributions that make it.

    Raises:
        BadInput: a source cannot be used.
    """
    files = {name: files_of(source) for name, (source, _, _) in encoders.items()}
    hashes = _hashes({file for named in files.values() for file in named.values()}, progress)
    return {
        name: {
            "content": _content({inside: hashes[file] for inside, file in files[name].items()}),
            "options": options,
            "tools": tool_versions(tools),
        }
        for name, (_, options, tools) in encoders.items()
    }


def made_already(output: Path, wanted: dict[str, Any]) -> bool:
    """Whether `output` is what is asked for, so that nothing is to do.

    What a run left there that was ended at its very last step is removed.

    Raises:
        BadInput: `output` holds something else, or it was damaged since.
    """
    if not (output / SPECS).is_file():
        require_new(output)
        return False
    found = read_json(output / SPECS, "remove the folder or choose another output").get("request")
    if found != wanted:
        raise BadInput(
            f"{output} already exists and was made {_difference(found, wanted)}; "
            "choose another output or remove it first."
        )
    try:
        Encoders.open(output)
    except BadInput as error:
        raise BadInput(f"{output} was made of these sources and damaged since; remove it and export again.") from error
    remove_leftover(output)
    return True


def _difference(found: Any, wanted: dict[str, Any]) -> str:
    """The first thing in which two requests differ, as part of a sentence."""
    named = {"content": "of another source", "options": "with other options", "tools": "by other versions of the tools"}
    if not isinstance(found, dict):
        return "by an edgefuse that did not record of what"
    for name in ("image", "text"):
        there = found.get(name)
        for key, told in named.items():
            if not isinstance(there, dict) or there.get(key) != wanted[name][key]:
                return f"{told} ({name} encoder)"
    return "with other samples, gates or head"


def _content(hashes: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def _hashes(files: Iterable[Path], progress: Progress) -> dict[Path, str]:
    ordered = sorted(files)
    whole = sum(file.stat().st_size for file in ordered)
    digests = {file: hashlib.sha256() for file in ordered}
    for file, piece in progress("reading the sources", _pieces(ordered), whole, size=lambda item: len(item[1])):
        digests[file].update(piece)
    hashes = {file: digest.hexdigest() for file, digest in digests.items()}
    for file, known in hashes.items():
        remember_hash(file, known)
    return hashes


def _pieces(files: list[Path]) -> Iterator[tuple[Path, bytes]]:
    for path in files:
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield path, piece
