"""`edgefuse pack`: encoders and a head become one field kit."""

from __future__ import annotations

from pathlib import Path

import click

from edgefuse.commands.options import FOLDER, say_leaks


@click.command("pack", epilog="Example: edgefuse pack --encoders E --head H --name ham-mini --output ham-mini.kit")
@click.option("--encoders", "encoders_folder", type=FOLDER, required=True, help="Made by 'edgefuse export'.")
@click.option("--head", "head_folder", type=FOLDER, required=True, help="Made by 'edgefuse train'.")
@click.option("--name", required=True, help="What the kit is called in every answer.")
@click.option("--version", default="1", show_default=True, help="The kit's own version.")
@click.option("--output", type=FOLDER, required=True, help="The kit: a new folder.")
def command(encoders_folder: Path, head_folder: Path, name: str, version: str, output: Path) -> None:
    """Put encoders, head, golden samples and evaluation into one folder that a device needs nothing beside.

    A head that was not evaluated yet is evaluated first. A head of other encoders is refused.
    """
    from edgefuse.evaluation.record import evaluate_folder
    from edgefuse.heads import EVALUATION
    from edgefuse.kits.encoders import Encoders
    from edgefuse.kits.packing import pack
    from edgefuse.progress import bar
    from edgefuse_runtimes.files import read_json

    encoders = Encoders.open(encoders_folder)
    path = head_folder / EVALUATION
    again = f"run 'edgefuse evaluate {head_folder}' again"
    evaluation = read_json(path, again) if path.exists() else evaluate_folder(head_folder)
    kit = pack(
        encoders,
        head_folder,
        evaluation,
        output,
        name=name,
        version=version,
        progress=bar,
    )
    size = sum(entry["bytes"] for entry in kit.manifest["files"].values())
    click.echo(f"{output}: kit {kit.name} {kit.version}, {len(kit.classes)} classes, {size / 1e6:.0f} MB.")
    say_leaks(evaluation["dataset"], err=True)
