"""`edgefuse plan`: whether a kit, or two encoders, would run on a device, and what to change if not."""

from __future__ import annotations

import codecs
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefuse.commands.options import FOLDER, chosen_kit, engine_option, precision_option
from edgefuse.sizes import SIZE

if TYPE_CHECKING:
    from edgefuse.planning.subject import Subject

EXAMPLE = """\b
Examples: edgefuse plan --kit my.kit
          edgefuse plan --ram 1G --disk 8GB --kit my.kit
          edgefuse plan --ram 4G --image-encoder dinov2-base --text-encoder llama-2-7b
          edgefuse plan --list"""


@click.command("plan", epilog=EXAMPLE)
@click.option("--ram", type=SIZE, help="Memory of the device, such as 512M or 4G.  [default: what is left here]")
@click.option("--disk", type=SIZE, help="Free disk of the device, such as 8GB.  [default: what is free here]")
@click.option(
    "--system",
    type=SIZE,
    help="Of --ram, what the system and other programs keep.  [default: 256M]",
)
@click.option("--kit", type=FOLDER, help="Plan for this kit.  [default: $EDGEFUSE_KIT, then the active kit]")
@click.option("--image-encoder", metavar="NAME", help="Instead of a kit, an image encoder by its name: see --list.")
@click.option("--text-encoder", metavar="NAME", help="And a text encoder.")
@precision_option
@engine_option
@click.option("--list", "listed", is_flag=True, help="Only list the encoders that are known by name.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the page.")
@click.pass_context
def command(
    context: click.Context,
    ram: int | None,
    disk: int | None,
    system: int | None,
    kit: Path | None,
    image_encoder: str | None,
    text_encoder: str | None,
    precision: str | None,
    engine: str,
    listed: bool,
    as_json: bool,
) -> None:
    """Tell whether a kit, or two encoders that are not there yet, would answer on a device, and what to change if not.

    Nothing is loaded: memory and disk are computed from the encoders' sizes, as classify does before it loads them.
    Ends with exit code 0 if a picture and its note can be answered with this kit, in the way that classify chooses by
    itself, and with 7 if not, also where another kit would do.
    """
    from edgefuse.planning.device import SYSTEM_BYTES, device
    from edgefuse.planning.options import Asked
    from edgefuse.planning.report import report
    from edgefuse_runtimes.errors import DoesNotFit

    if listed:
        _list(as_json)
        return
    if system is not None and ram is None:
        raise click.UsageError("--system is a part of --ram; give --ram too.")
    named = (image_encoder, text_encoder)
    if any(named) and (kit is not None or not all(named)):
        raise click.UsageError("Give --kit, or both --image-encoder and --text-encoder.")
    subject, place = _subject(kit, image_encoder, text_encoder, precision)
    there = device(ram, disk, SYSTEM_BYTES if system is None else system, place)
    plan = report(Asked(subject, there, engine))
    if as_json:
        click.echo(json.dumps(plan))
    else:
        from edgefuse.planning.page import render

        encoding = codecs.lookup(sys.stdout.encoding or "ascii").name
        page = render(plan, unicode=encoding == "utf-8")
        click.echo(page.encode(encoding, "backslashreplace").decode(encoding))
    context.exit(0 if plan["fits"] else DoesNotFit.exit_code)


def _subject(
    kit: Path | None, image: str | None, text: str | None, precision: str | None
) -> tuple[Subject, Path | None]:
    """What is planned, and where the kit lies."""
    from edgefuse.kits.kit import Kit
    from edgefuse.planning.subject import of_kit, of_names

    if image is not None and text is not None:
        return of_names(image, text, precision), None
    place = chosen_kit(kit)
    return of_kit(Kit.open(place), precision), place


def _list(as_json: bool) -> None:
    from edgefuse.planning.catalogue import CATALOGUE
    from edgefuse.sizes import said_size

    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "title": known.title,
            "modality": known.modality,
            "parameters": known.architecture.parameters,
            "bytes": {
                precision: known.architecture.facts(precision).weight_bytes
                for precision in known.architecture.precisions
            },
        }
        for name, known in CATALOGUE.items()
    ]
    if as_json:
        click.echo(json.dumps({"encoders": rows}))
        return
    for row in rows:
        sizes = ", ".join(f"{precision} {said_size(size)}" for precision, size in row["bytes"].items())
        click.echo(f"{row['name']:<20}{row['modality']:<7}{row['parameters'] / 1e6:>7.0f} M parameters  {sizes}")
