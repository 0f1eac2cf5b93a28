"""An installer: all that a device needs to answer with one kit, in one file, for one kind of processor."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefuse import __version__
from edgefuse.answering.memory import ways_to_run
from edgefuse.kits.brought import open_brought, write_out
from edgefuse.kits.kit import Kit
from edgefuse.kits.manifest import SIGNATURE
from edgefuse.kits.signature import signer_of
from edgefuse.kits.source import check_files
from edgefuse_packaging.deb import write_deb
from edgefuse_packaging.elf import page_bytes_of
from edgefuse_packaging.llama_wheel import cached_wheel
from edgefuse_packaging.run_file import PART_BYTES, write_payload, write_run_file
from edgefuse_packaging.sbom import bill_of_materials
from edgefuse_packaging.wheelhouse import LOCK, build_edgefuse, build_wheelhouse, lock
from edgefuse_runtimes.encoder_facts import encoder_facts
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sync_folder, write_bytes
from edgefuse_runtimes.folders import scratch_folder
from edgefuse_runtimes.memory_plan import least

MACHINES = {"linux-x86_64": "x86_64", "linux-aarch64": "aarch64"}
UNPACKED = 4
"""A wheel's files and what Python compiles of them, in sizes of the wheel: numpy's, the largest share, take 3.9."""
MARGIN = 64 << 20
"""Bytes of disk that stay free."""


@dataclass(frozen=True)
class Wanted:
    """What the installer is for."""

    kit: Path
    """A folder or an archive."""
    platform: str
    """One of MACHINES."""
    pythons: tuple[str, ...]
    glibc: str
    """The newest that wheels may ask for."""
    edgefuse_wheel: Path | None = None
    onnxruntime: bool = True
    llama_wheel: Path | None = None
    """None takes the one that was built before, if there is one."""
    part_bytes: int = PART_BYTES


def build_installer(wanted: Wanted, output: Path, say: Callable[[str], None]) -> list[Path]:
    """Write the installer into the folder `output`.

    Args:
        wanted: what for.
        output: the folder; it may exist.
        say: takes a remark.

    Returns:
        The files, the one to start first.

    Raises:
        BadInput: the kit or its signature is damaged, or no wheels fit.
        DoesNotFit: the disk became full.
        RegistryUnreachable: a wheel could not be asked for.
    """
    brought = open_brought(wanted.kit)
    check_files(brought.source, brought.kit.files)
    signer_of(brought)
    output.mkdir(parents=True, exist_ok=True)
    target = output / f"edgefuse-{file_stem(brought.kit)}-{wanted.platform}.run"
    if target.exists():
        raise BadInput(f"{target} already exists; choose another output or remove it first.")
    with scratch_folder(target) as scratch:
        kit = write_out(brought, scratch / "kit")
        carried = scratch / "carried"
        facts = collect(wanted, kit, carried, say)
        payload = scratch / "payload.tar"
        write_payload(carried, payload)
        shutil.rmtree(carried)
        shutil.rmtree(kit.folder)
        made = write_run_file(scratch / target.name, payload, facts, part_bytes=wanted.part_bytes)
        payload.unlink()
        if len(made) == 1:
            made.append(scratch / target.with_suffix(".deb").name)
            write_deb(made[1], made[0], facts)
        else:
            say("no Debian package is made, since it would be larger than one file may be.")
        # The one to start is there last: it stands for all of them.
        files = [path.replace(output / path.name) for path in reversed(made)]
        sync_folder(output)
    return files[::-1]


def collect(wanted: Wanted, kit: Kit, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Fill the new folder `folder` with what is carried; what the device must have for it."""
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    llama = _llama_wheel(wanted, kit, say)
    edgefuse = wanted.edgefuse_wheel or build_edgefuse(folder)
    packages = ["pip"]  # which installs the others, is not installed itself, and which the device may lack
    packages += ["onnxruntime"] if wanted.onnxruntime else []
    packages += ["cryptography"] if (kit.folder / SIGNATURE).exists() else []
    of_python: dict[str, list[Path]] = {}
    for python in wanted.pythons:
        house = folder / python
        build_wheelhouse(
            house,
            target=f"manylinux_{wanted.glibc.replace('.', '_')}_{MACHINES[wanted.platform]}",
            python=python,
            packages=packages,
            edgefuse_wheel=edgefuse,
            more=[llama] if llama else [],
        )
        (house / LOCK).unlink()
        installed = [wheel for wheel in sorted(house.glob("*.whl")) if not wheel.name.startswith("pip-")]
        write_bytes(folder / f"requirements-{python}.lock", lock(installed).encode())
        of_python[python] = [wheels / wheel.name for wheel in installed]
        for wheel in house.glob("*.whl"):
            wheel.replace(wheels / wheel.name)
        house.rmdir()
    if edgefuse.parent == folder:
        edgefuse.unlink()
    copy_kit(kit.folder, folder / "kit")
    carried = sorted(wheels.glob("*.whl"))
    write_bytes(folder / "sbom.cdx.json", bill_of_materials(carried, kit))
    return {
        "edgefuse": __version__,
        "kit": {"name": kit.name, "version": kit.version, "digest": kit.digest, "signer": _signer(kit)},
        "id": f"{__version__}-{_key(folder, kit)}",
        "machine": MACHINES[wanted.platform],
        "pythons": list(reversed(wanted.pythons)),
        "glibc": [2, needed_glibc(carried)],
        "page": page_bytes_of(carried),
        "memory": least_memory(kit),
        "disk": {python: disk_bytes(carried, of_python[python], folder / "kit") for python in wanted.pythons},
    }


def _signer(kit: Kit) -> str | None:
    """Fingerprint of the key that signed the kit."""
    signer = signer_of(open_brought(kit.folder))
    return signer.fingerprint if signer else None


def file_stem(kit: Kit) -> str:
    """The kit's name and version as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", f"{kit.name}-{kit.version}").strip("-.") or "kit"


def copy_kit(source: Path, target: Path) -> None:
    """Copy a kit; by another name of the same files where the disk allows it."""

    def linked(one: str, other: str) -> str:
        try:
            os.link(one, other)
        except OSError:
            shutil.copyfile(one, other)
        return other

    shutil.copytree(source, target, copy_function=linked)


def needed_glibc(wheels: Sequence[Path]) -> int:
    """The minor version of glibc 2.x that all wheels run on, by their names."""
    needed = [5]
    for wheel in wheels:
        tags = wheel.stem.rpartition("-")[2]
        minors = [int(minor) for minor in re.findall(r"manylinux_2_(\d+)", tags)]
        minors += [17] if "manylinux2014" in tags else []
        needed += [min(minors)] if minors else []
    return max(needed)


def least_memory(kit: Kit) -> int:
    """Bytes of memory that the kit needs at the least, one encoder after the other, without a native engine."""
    needed = []
    for spec in (kit.image, kit.text):
        choice = encoder_facts(spec, kit.file, None), ways_to_run(spec.format, "numpy", "low")
        needed.append(least([choice], kept=False))
    return max(needed)


def disk_bytes(carried: Sequence[Path], used: Sequence[Path], kit: Path) -> int:
    """Bytes of disk that an installation takes while it is made: the kit is there twice while it is handed over."""
    kept = sum(file.stat().st_size for file in kit.rglob("*") if file.is_file())
    unpacked = UNPACKED * sum(wheel.stat().st_size for wheel in used)
    return 2 * kept + sum(wheel.stat().st_size for wheel in carried) + unpacked + MARGIN


def _llama_wheel(wanted: Wanted, kit: Kit, say: Callable[[str], None]) -> Path | None:
    """llama.cpp for the device, if the kit has an encoder for it."""
    if kit.text.format != "gguf":
        return None
    machine = MACHINES[wanted.platform]
    wheel = wanted.llama_wheel or cached_wheel(machine)
    if wheel is None:
        say(
            "llama.cpp is not carried, since it was not built yet: numpy runs the text encoder, more slowly. Build it "
            f"with 'python -m edgefuse_packaging.llama_wheel --machine {machine}' and make the installer again."
        )
    return wheel


def _key(folder: Path, kit: Kit) -> str:
    """Another one for other locks or another kit."""
    found = hashlib.sha256()
    for path in sorted(folder.glob("requirements-*.lock")):
        found.update(path.read_bytes())
    found.update(kit.digest.encode())
    return found.hexdigest()[:12]
