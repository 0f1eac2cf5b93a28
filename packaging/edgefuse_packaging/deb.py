"""The same installer as a Debian package, for a double click: it carries the .run file, and starts it for everyone.

The form is that of deb(5): an ar archive of a version, a tar that tells about the package, and a tar of its files.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from edgefuse_packaging.run_file import header, plain
from edgefuse_runtimes.files import new_file

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PLACE = "opt/edgefuse/installer/edgefuse.run"

ANYWAY = "purge the package that is there first if you mean it, with 'sudo dpkg --purge edgefuse'"

CONTROL = """\
Package: edgefuse
Version: {version}
Architecture: {architecture}
Maintainer: The edgefuse team <edgefuse@localhost>
Installed-Size: {kibibytes}
Depends: python3 (>= 3.11)
Section: science
Priority: optional
Description: image and text classification on a small device with no network
 It carries one kit and all Python packages that it needs.
"""

POSTINST = """\
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    sh /{place} --system {trust}
    rm -f /{place}  # all of it is installed now, and a small card has no room for it twice
fi
"""

PRERM = """\
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -x /opt/edgefuse/bin/edgefuse-uninstall ]; then
    /opt/edgefuse/bin/edgefuse-uninstall
fi
"""

POSTRM = """\
#!/bin/sh
set -e
if [ "$1" = purge ]; then
    # what the next kit would be held against
    rm -f /opt/edgefuse/trusted_keys /opt/edgefuse/kits/highest.json
    rmdir /opt/edgefuse/kits /opt/edgefuse 2>/dev/null || :
fi
"""


def write_deb(output: Path, run_file: Path, facts: Mapping[str, Any]) -> None:
    """Write the Debian package `output` that carries the one .run file of `facts`.

    Before it is unpacked, its preinst sees whether the device fits, and that the kit is not older than one before: what
    is refused later stays half configured.
    """
    size = run_file.stat().st_size
    room = {python: size + disk for python, disk in facts["disk"].items()}
    scripts = {
        "control": CONTROL.format(
            version=package_version(facts),
            architecture=ARCHITECTURES[facts["machine"]],
            kibibytes=-(-max(room.values()) // 1024),
        ).encode(),
        "preinst": header({**facts, "disk": room, "parts": [], "anyway": ANYWAY}, arguments="--check --system"),
        "postinst": POSTINST.format(place=PLACE, trust=_trust(facts["kit"]["signer"])).encode(),
        "prerm": PRERM.encode(),
        "postrm": POSTRM.encode(),
    }
    data = output.with_name(f".{output.name}.data")
    try:
        with data.open("wb") as file:
            _write_files(file, run_file)
        with new_file(output) as archive, data.open("rb") as files:
            archive.write(b"!<arch>\n")
            _member(archive, "debian-binary", io.BytesIO(b"2.0\n"), 4)
            control = _tar_of(scripts)
            _member(archive, "control.tar.gz", io.BytesIO(control), len(control))
            _member(archive, "data.tar", files, data.stat().st_size)
    finally:
        data.unlink(missing_ok=True)


def package_version(facts: Mapping[str, Any]) -> str:
    """edgefuse's version, the kit's numbers, and what tells other wheels: a newer kit is a newer package.

    Of the kit's version the numbers alone, since nothing that a kit says is to be read by the system's tools.
    """
    numbers = ".".join(re.findall(r"[0-9]+", facts["kit"]["version"])) or "0"
    return f"{facts['edgefuse']}+{numbers}+{facts['id'].rpartition('-')[2]}"


def _trust(signer: str | None) -> str:
    """How the kit is taken: there is nobody to ask, and who starts the package trusts what it carries.

    A fingerprint is what we made of a key; of anything else nothing may reach the shell.
    """
    if signer is None:
        return "--allow-unsigned"
    if not re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}", signer):
        raise ValueError(f"{signer!r} is no fingerprint")
    return f"--trust={signer}"


def _tar_of(scripts: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in scripts.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(content)
            entry.mode = 0o644 if name == "control" else 0o755
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


def _write_files(file: IO[bytes], run_file: Path) -> None:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
        folders = [str(folder) for folder in reversed(Path(PLACE).parents)]
        for folder in folders:
            entry = tarfile.TarInfo("./" if folder == "." else f"./{folder}/")
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        archive.add(run_file, f"./{PLACE}", filter=plain)


def _member(archive: IO[bytes], name: str, content: IO[bytes], size: int) -> None:
    archive.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{size:<10}`\n".encode())
    while chunk := content.read(1 << 20):
        archive.write(chunk)
    archive.write(b"\n" * (size % 2))
