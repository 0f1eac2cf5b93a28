"""Is what is handed over the same to the byte when it is made again?"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from edgefuse_packaging.installer import MACHINES, Wanted, build_installer
from edgefuse_packaging.llama_wheel import TOOLCHAINS, build_llama_wheel
from edgefuse_packaging.wheelhouse import build_edgefuse
from edgefuse_runtimes.errors import QualityGate
from edgefuse_runtimes.files import sha256

PYTHONS = ("3.11", "3.13")
GLIBC = "2.36"
"""Of Debian 12 and Raspberry Pi OS of the same name."""


def build_twice(kit: Path) -> dict[str, Any]:
    """Build edgefuse's wheel and the kit's installers for every platform twice.

    Returns:
        The sha256 of each file, by its name.

    Raises:
        QualityGate: two builds of a file differ.
        RegistryUnreachable: a wheel could not be asked for.
    """
    with tempfile.TemporaryDirectory(prefix="edgefuse-builds-") as name:
        first, second = (_build_all(kit, Path(name, turn)) for turn in ("first", "second"))
    differing = [file for file in first if first[file] != second.get(file)]
    if differing or first.keys() != second.keys():
        raise QualityGate(f"Built twice, these files differ: {', '.join(differing) or sorted(first.keys() ^ second)}.")
    return {"sha256": first}


def build_wheels_again(_: Path) -> dict[str, Any]:
    """Build llama.cpp's wheel for every processor again, and compare it with the one that was built before.

    Returns:
        The sha256 of each wheel, by its name.

    Raises:
        QualityGate: two builds of a wheel differ.
        BadInput: a tool is missing; the sentence says which.
    """
    built: dict[str, str] = {}
    for machine in TOOLCHAINS:
        build_llama_wheel(machine)  # so that there is one to compare with
        wheel = build_llama_wheel(machine, again=True)
        built[wheel.name] = sha256(wheel)
    return {"sha256": built}


def _build_all(kit: Path, folder: Path) -> dict[str, str]:
    folder.mkdir()
    wheel = build_edgefuse(folder)
    files = [wheel]
    for platform in MACHINES:
        wanted = Wanted(kit=kit, platform=platform, pythons=PYTHONS, glibc=GLIBC, edgefuse_wheel=wheel)
        files += build_installer(wanted, folder / platform, lambda _: None)
    return {file.name: sha256(file) for file in files}
