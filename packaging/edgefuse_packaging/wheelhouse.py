"""Collect into one folder all that `pip install --no-index` needs to put edgefuse on an offline device.

Run in the workshop:  python -m edgefuse_packaging.wheelhouse --help
"""

from __future__ import annotations

import platform
import re
import sys
import zipfile
from collections.abc import Sequence
from email.parser import BytesHeaderParser
from pathlib import Path

import click

from edgefuse_packaging.pip import run_pip
from edgefuse_runtimes.errors import BadInput, EdgefuseError
from edgefuse_runtimes.files import sha256, write_bytes
from edgefuse_runtimes.folders import new_folder

ROOT = Path(__file__).resolve().parents[2]
PINS = Path(__file__).with_name("pins.txt")
LOCK = "requirements.lock"
LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
"""Names that platforms had before they were called by their glibc 2.x."""


def build_wheelhouse(
    output: Path,
    *,
    target: str,
    python: str,
    packages: Sequence[str] = (),
    edgefuse_wheel: Path | None = None,
    more: Sequence[Path] = (),
) -> Path:
    """Fill the new folder `output` with wheels for platform tag `target` and Python `python`, and a lock.

    Args:
        output: the folder to make.
        target: see `platform_tags`.
        python: "3.11", "3.12" or "3.13".
        packages: what to carry beside edgefuse and what it needs.
        edgefuse_wheel: one that is built already.
        more: wheels that no registry has, to be carried and pinned too.

    Returns:
        The path of `requirements.lock`.

    Raises:
        BadInput: `output` exists, the platform is not one of edgefuse's, or no wheels fit it.
        RegistryUnreachable: a wheel could not be asked for.
    """
    tags = platform_tags(target)
    with new_folder(output) as folder:
        wheel = edgefuse_wheel or build_edgefuse(folder)
        if wheel.parent != folder:
            write_bytes(folder / wheel.name, wheel.read_bytes())
        wanted = [str(folder / wheel.name), *packages]
        options = [option for tag in tags for option in ("--platform", tag)]
        for other in more:
            write_bytes(folder / other.name, other.read_bytes())
        run_pip(
            "download", "--only-binary=:all:", *options, "--python-version", python, "--implementation", "cp",
            "--constraint", str(PINS), "--dest", str(folder), *wanted,
        )  # fmt: skip
        write_bytes(folder / LOCK, lock(sorted(folder.glob("*.whl"))).encode())
    return output / LOCK


def build_edgefuse(folder: Path) -> Path:
    """Build this repository's wheel into `folder`.

    Raises:
        BadInput: edgefuse runs from an installed wheel, so there is nothing to build one from.
        RegistryUnreachable: what builds it could not be asked for.
    """
    if not (ROOT / "pyproject.toml").is_file():
        raise BadInput("Here is no clone of edgefuse to build its wheel from; name the wheel with --wheel.")
    run_pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    return next(folder.glob("edgefuse-*.whl"))


def platform_tags(target: str) -> list[str]:
    """`target` and every older glibc of the same processor, newest first: what runs there.

    Raises:
        BadInput: not a 64-bit glibc Linux.
    """
    found = re.fullmatch(r"manylinux_2_(\d+)_(x86_64|aarch64)", target)
    if found is None:
        raise BadInput(
            f"edgefuse has no wheels for {target!r}; give manylinux_2_N_x86_64 or manylinux_2_N_aarch64, "
            "where 2.N is the device's glibc ('ldd --version' tells)."
        )
    glibc, machine = int(found[1]), found[2]
    tags = []
    for minor in range(glibc, 4, -1):
        tags.append(f"manylinux_2_{minor}_{machine}")
        if minor in LEGACY:
            tags.append(f"{LEGACY[minor]}_{machine}")
    return tags


def this_platform() -> str:
    """The platform tag of the machine that this runs on.

    Raises:
        BadInput: it has no glibc.
    """
    library, version = platform.libc_ver()
    if library != "glibc":
        raise BadInput("This machine has no glibc; name the device's platform with --platform.")
    return f"manylinux_{version.replace('.', '_')}_{platform.machine()}"


def lock(wheels: list[Path]) -> str:
    """A requirements file that pins every wheel by name, version and hash."""
    lines = ["# Install with: pip install --no-index --find-links FOLDER --require-hashes -r FOLDER/" + LOCK]
    for wheel in wheels:
        name, version = identity(wheel)
        lines += [f"{name}=={version} \\", f"    --hash=sha256:{sha256(wheel)}"]
    return "\n".join([*lines, ""])


def identity(wheel: Path) -> tuple[str, str]:
    """Name and version that a wheel's metadata tell."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
        metadata = BytesHeaderParser().parsebytes(archive.read(names[0]))
    return metadata["Name"].lower(), metadata["Version"]


@click.command(
    epilog="Example: python -m edgefuse_packaging.wheelhouse --platform manylinux_2_36_aarch64 --output wheels"
)
@click.option("--output", type=click.Path(path_type=Path), required=True, help="The folder to make.")
@click.option("--platform", "target", help="Platform tag of the device.  [default: this machine's]")
@click.option(
    "--python",
    type=click.Choice(["3.11", "3.12", "3.13"]),
    default=f"{sys.version_info.major}.{sys.version_info.minor}",
    show_default=True,
    help="Python of the device.",
)
@click.option("--onnxruntime", is_flag=True, help="Carry onnxruntime too: faster pictures, 22 MB more.")
@click.option(
    "--wheel",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An edgefuse wheel that is built already.",
)
def main(output: Path, target: str | None, python: str, onnxruntime: bool, wheel: Path | None) -> None:
    """Collect the wheels that install edgefuse on a device without a network."""
    try:
        path = build_wheelhouse(
            output,
            target=target or this_platform(),
            python=python,
            packages=["onnxruntime"] if onnxruntime else [],
            edgefuse_wheel=wheel,
        )
    except EdgefuseError as error:
        click.echo(f"wheelhouse: {error}", err=True)
        sys.exit(error.exit_code)
    count, size = _total(output)
    click.echo(f"{count} wheels, {size / 1e6:.1f} MB, pinned by {path}")


def _total(folder: Path) -> tuple[int, int]:
    sizes = [wheel.stat().st_size for wheel in folder.glob("*.whl")]
    return len(sizes), sum(sizes)


if __name__ == "__main__":
    main()
