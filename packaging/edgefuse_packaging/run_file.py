"""The one file that a person starts: a shell's beginning, the program that installs, then what is carried, as a tar.

A memory stick with the file system FAT32 takes no file of 4 GiB, so what is carried may go on in FILE.2, FILE.3, ...
The beginning holds the hash of itself and of each part.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import IO, Any

from edgefuse_packaging.device.carried import HEADER_BYTES
from edgefuse_runtimes.files import new_file

PROGRAM = ("refused", "fitting", "remembered", "carried", "versions", "install")
"""Modules of `device` that the beginning holds, each after those that it imports; the last one has `main`."""
PART_BYTES = 3_900 * 1024 * 1024
"""Of one file; below the 4 GiB of FAT32."""


def write_payload(folder: Path, payload: Path) -> None:
    """Put all that is in `folder` into the tar `payload`, in order, with no time or owner: the same gives the same."""
    with new_file(payload) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(folder.rglob("*")):
            archive.add(path, path.relative_to(folder).as_posix(), recursive=False, filter=plain)


def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """An entry of a tar without what differs from one machine or day to the next."""
    entry.mtime = entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.isdir() else 0o644
    return entry


def write_run_file(
    output: Path, payload: Path, facts: Mapping[str, Any], *, part_bytes: int = PART_BYTES
) -> list[Path]:
    """Write `output` and, where it would be larger than `part_bytes`, its further parts beside it.

    Args:
        output: NAME.run.
        payload: the tar.
        facts: what the device must have; see `device.fitting.require_fit`.
        part_bytes: the size that no file exceeds.

    Returns:
        The files, the first one first.
    """
    sizes = _sizes(payload.stat().st_size, part_bytes)
    with payload.open("rb") as source:
        parts = [{"bytes": size, "sha256": _hash_of(source, size)} for size in sizes]
    paths = [output, *(output.with_name(f"{output.name}.{number}") for number in range(2, len(parts) + 1))]
    written: list[Path] = []
    try:
        with payload.open("rb") as source:
            for path, size in zip(paths, sizes, strict=True):
                with new_file(path) as file:
                    if path == output:
                        file.write(header({**facts, "parts": parts}))
                    _copy(source, file, size)
                written.append(path)
    except BaseException:
        for path in written:
            with suppress(OSError):
                path.unlink()
        raise
    return paths


def header(facts: Mapping[str, Any], arguments: str = "") -> bytes:
    """The beginning of a .run file, of HEADER_BYTES: its second line is the hash of the rest.

    With `arguments` it is started with these, whatever it is given.

    No name out of a kit reaches the shell: what it is told is the processor and the versions of Python.
    """
    device = resources.files("edgefuse_packaging.device")
    shell = device.joinpath("start.sh").read_bytes()
    modules = [f"#MODULE {name}\n".encode() + device.joinpath(f"{name}.py").read_bytes() for name in PROGRAM]
    told = f"MACHINE='{facts['machine']}'\nPYTHONS='{' '.join(facts['pythons'])}'\n".encode()
    if arguments:
        told += f"set -- {arguments}\n".encode()
    described = json.dumps(facts, sort_keys=True).encode()
    rest = told + shell + b"\n#PROGRAM\n\n" + b"\n".join(modules) + b"\n#FACTS\n" + described
    first = b"#!/bin/sh\n"
    space = HEADER_BYTES - len(first) - len(b"# \n") - 64 - len(rest)
    assert space >= 0, "the program outgrew its place"
    rest += b"\n" * space
    return first + b"# " + hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest


def _sizes(total: int, part_bytes: int) -> list[int]:
    """Bytes of what is carried that each part holds; the first one also holds the beginning."""
    sizes = [min(total, part_bytes - HEADER_BYTES)]
    while (left := total - sum(sizes)) > 0:
        sizes.append(min(left, part_bytes))
    return sizes


def _hash_of(source: IO[bytes], size: int) -> str:
    found = hashlib.sha256()
    for chunk in _chunks(source, size):
        found.update(chunk)
    return found.hexdigest()


def _copy(source: IO[bytes], target: IO[bytes], size: int) -> None:
    for chunk in _chunks(source, size):
        target.write(chunk)


def _chunks(source: IO[bytes], size: int) -> Iterator[bytes]:
    while size > 0:
        chunk = source.read(min(size, 1 << 20))
        size -= len(chunk)
        yield chunk
