"""`edgefuse installer`: a kit and all that it needs become one file for a memory stick."""

from __future__ import annotations

from pathlib import Path

import click

from edgefuse.commands.options import FOLDER, private_key

EXAMPLE = "Example: edgefuse installer my.kit --platform linux-aarch64 --python 3.11,3.13 --output stick"
PLATFORMS = ("linux-x86_64", "linux-aarch64")
PYTHONS = ("3.11", "3.12", "3.13")


def _pythons(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    named = sorted({one.strip() for one in value.split(",")})
    unknown = [one for one in named if one not in PYTHONS]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is none of {', '.join(PYTHONS)}.", context, parameter)
    return tuple(named)


def _glibc(context: click.Context, parameter: click.Parameter, value: str) -> str:
    major, _, minor = value.partition(".")
    if major != "2" or not (minor.isascii() and minor.isdigit()):
        raise click.BadParameter(f"{value!r} is no version of glibc; 'ldd --version' tells it.", context, parameter)
    return value


@click.command("installer", epilog=EXAMPLE)
@click.argument("kit", type=FOLDER)
@click.option("--platform", type=click.Choice(PLATFORMS), required=True, help="The device's system and processor.")
@click.option(
    "--python",
    "pythons",
    default="3.11,3.13",
    show_default=True,
    metavar="VERSIONS",
    callback=_pythons,
    help="Pythons that devices may have: 3.11 is that of Debian and Raspberry Pi OS 12, 3.13 of 13.",
)
@click.option(
    "--glibc", default="2.36", show_default=True, metavar="VERSION", callback=_glibc, help="Oldest glibc of a device."
)
@click.option("--output", type=FOLDER, required=True, help="The folder to put it in.")
@click.option("--wheel", type=FOLDER, help="An edgefuse wheel.  [default: built from the clone that this runs from]")
@click.option("--llama-wheel", type=FOLDER, help="A llama.cpp wheel.  [default: the one that was built before, if any]")
@click.option("--no-onnxruntime", is_flag=True, help="Leave onnxruntime out: 22 MB less, slower pictures.")
@click.option(
    "--part-size",
    type=click.IntRange(min=1),
    default=3900,
    show_default=True,
    metavar="MiB",
    help="No file is larger; a stick with FAT32 takes less than 4096.",
)
@click.option(
    "--sign",
    "key",
    type=FOLDER,
    metavar="KEY",
    help="Sign each file with this ssh Ed25519 private key: FILE.sig beside it, which 'edgefuse verify' checks.",
)
def command(
    kit: Path,
    platform: str,
    pythons: tuple[str, ...],
    glibc: str,
    output: Path,
    wheel: Path | None,
    llama_wheel: Path | None,
    no_onnxruntime: bool,
    part_size: int,
    key: Path | None,
) -> None:
    """Put KIT, edgefuse and every Python package that a device needs into one file for a memory stick.

    On the device: sh FILE.run. It needs no network, no administrator, no pip, and Python's standard library only.
    """
    from edgefuse.progress import in_bytes
    from edgefuse.trust.keys import public_of
    from edgefuse.verification.installers import sign_installer
    from edgefuse_packaging.installer import Wanted, build_installer
    from edgefuse_runtimes.files import sha256

    private = None if key is None else private_key(key)
    wanted = Wanted(
        kit=kit,
        platform=platform,
        pythons=pythons,
        glibc=glibc,
        edgefuse_wheel=wheel,
        onnxruntime=not no_onnxruntime,
        llama_wheel=llama_wheel,
        part_bytes=part_size * 1024 * 1024,
    )
    files = build_installer(wanted, output, lambda remark: click.echo(f"note: {remark}", err=True))
    for file in files:
        click.echo(f"{file}: {in_bytes(file.stat().st_size)}, sha256 {sha256(file)}")
    if private is not None:
        for file in files:
            sign_installer(file, private)
        click.echo(f"signed by {public_of(private).fingerprint}: copy the .sig files, too.", err=True)
