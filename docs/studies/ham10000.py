"""Make the studies of HAM10000 in this folder: python docs/studies/ham10000.py --help

Two data sets of the same kind, "mini" (1,732 sharper pictures, rare classes lifted) and "natural" (2,000 small ones, in
about their natural shares), and two recipes: the paper's, and the one that was found to be better. Needs the extras
export-torch, onnxruntime, llama and report. An interrupted run goes on where it stopped.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import click

PAPER = """
[training]
refer_accuracy = 0.8
[sweep]
"""
BETTER = """
[training]
shifts = [0]
text_components = 32
members = 5
epochs = 10
average_image = true
refer_accuracy = 0.8
"""
RECIPES = {
    # name: views of a picture, how many to learn from, words above the report, what the study's file says
    "paper": (1, None, "as the paper trains", PAPER),
    "better": (
        4,
        8,
        "four views, learnt from eight, 32 components of the note, five members, averaged with the image-only head",
        BETTER,
    ),
}
TEXTS = {"SmolLM2": "smollm2", "MiniLM": "minilm"}


def edgefuse(*arguments: object) -> None:
    """Run the command line of this environment; its failure ends the script."""
    subprocess.run([sys.executable, "-m", "edgefuse", *map(str, arguments)], check=True)


def export(models: Path, encoders: Path) -> None:
    """Every pair of encoders that a recipe needs."""
    for views in (1, 4):
        for text in TEXTS.values():
            folder = encoders / f"dinov2-{views}-{text}"
            sources = ("--image-encoder", models / "dinov2", "--text-encoder", models / text)
            edgefuse("export", *sources, "--views", views, "--output", folder)


def write_config(path: Path, dataset: str, root: Path, encoders: Path, recipe: str) -> None:
    """The file of one study."""
    views, to_learn, words, training = RECIPES[recipe]
    lines = [
        f'name = "HAM10000 {dataset}: {words}"',
        'like = "HAM10000"',
        "[data]",
        'dataset = "ham10000"',
        f'root = "{root}"',
        *([f"views = {to_learn}"] if to_learn else []),
        "[encoders]",
        *(f'"DINOv2-S + {name}" = "{encoders / f"dinov2-{views}-{folder}"}"' for name, folder in TEXTS.items()),
        training,
    ]
    path.write_text("\n".join(lines))


@click.command(epilog="Example: python docs/studies/ham10000.py --data DATA --models MODELS --output studies")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Holds ham10000-mini and -natural.")
@click.option("--models", type=click.Path(path_type=Path), required=True, help="Holds dinov2, smollm2 and minilm.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Where encoders and studies go.")
def main(data: Path, models: Path, output: Path) -> None:
    """Export the encoders, run and report every study, and put what the documentation shows beside this script."""
    data, models, output = data.resolve(), models.resolve(), output.resolve()
    export(models, output / "encoders")
    for dataset in ("mini", "natural"):
        for recipe in RECIPES:
            config = output / f"{dataset}-{recipe}.toml"
            write_config(config, dataset, data / f"ham10000-{dataset}", output / "encoders", recipe)
            edgefuse("study", "run", config)
            edgefuse("study", "report", config)
            publish(config.with_suffix("") / "report", Path(__file__).parent / f"ham10000-{dataset}-{recipe}")


def publish(report: Path, folder: Path) -> None:
    """Copy a report's Markdown, tables and PNG files, which a page of the documentation shows."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in sorted(report.iterdir()):
        if path.suffix in (".md", ".csv", ".png"):
            shutil.copy(path, folder / ("index.md" if path.name == "report.md" else path.name))


if __name__ == "__main__":
    main()
