"""`edgefuse export`: two pretrained encoders become the files that a device runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edgefuse_export.llama import Precision as TextPrecision
    from edgefuse_export.vision import Precision
    from edgefuse_runtimes.spec import EncoderSpec, Pooling

EXAMPLE = """\b
Examples: edgefuse export --image-encoder M/dinov2 --text-encoder M/smollm2 --output E
          edgefuse export --image-encoder dinov2.onnx --text-encoder llama-2.gguf --output E
          edgefuse export --image-encoder M/dinov2 --text-encoder M/minilm --pooling mean --output E
          edgefuse export --clip M/clip --precision fp32 --output E"""


@click.command("export", epilog=EXAMPLE)
@click.option("--image-encoder", metavar="SRC", help="A Hugging Face folder or hub id, or an .onnx file.")
@click.option("--text-encoder", metavar="SRC", help="A Hugging Face folder or hub id, or a .gguf file.")
@click.option("--clip", metavar="SRC", help="A CLIP folder or hub id for both encoders.")
@click.option("--output", required=True, type=click.Path(path_type=Path), help="The encoders folder to make.")
@click.option(
    "--preprocess",
    type=click.Choice(["source", "squash"]),
    default="source",
    show_default=True,
    help="Prepare pictures as the source does, or squash them whole to its crop size.",
)
@click.option("--pooler", is_flag=True, help="Take the pooler's output of a ViT instead of its first token.")
@click.option(
    "--precision",
    type=click.Choice(["int8", "fp32"]),
    default="int8",
    show_default=True,
    help="Weights of ONNX files; fp32 for devices on which int8 is slower.",
)
@click.option(
    "--pooling",
    type=click.Choice(["cls", "mean", "last"]),
    help="Which hidden state stands for a note: cls or mean for BERT, last or mean for LLaMA; else as usual for it.",
)
@click.option(
    "--quantize",
    type=click.Choice(["q8_0", "q4_k_m"]),
    default="q8_0",
    show_default=True,
    help='Weights of a .gguf file; q4_k_m, which needs the extra "llama", is smaller and loses more.',
)
@click.option("--requantize", is_flag=True, help="Take a .gguf file whose weights were quantised below 8 bits.")
def command(
    image_encoder: str | None,
    text_encoder: str | None,
    clip: str | None,
    output: Path,
    preprocess: str,
    pooler: bool,
    precision: Precision,
    pooling: Pooling | None,
    quantize: TextPrecision,
    requantize: bool,
) -> None:
    """Turn pretrained encoders into small, fast files.

    The image encoder (DINOv2, ViT or CLIP) becomes int8 ONNX; so does the text encoder of a CLIP or a BERT, while a
    LLaMA becomes GGUF Q8_0. Hugging Face folders but LLaMA's need the extra "export-torch"; all else needs "export".
    """
    from edgefuse.encoders import write_encoders
    from edgefuse.progress import bar
    from edgefuse_export.sources import find_source
    from edgefuse_export.text import export_text_encoder
    from edgefuse_export.vision import export_image_encoder
    from edgefuse_runtimes.errors import BadInput
    from edgefuse_runtimes.files import new_folder

    if clip is not None and (image_encoder is not None or text_encoder is not None):
        raise BadInput("--clip names both encoders; leave --image-encoder and --text-encoder out.")
    image_encoder, text_encoder = image_encoder or clip, text_encoder or clip
    if image_encoder is None or text_encoder is None:
        raise BadInput("Two encoders are needed; give --image-encoder and --text-encoder, or --clip for both.")
    with new_folder(output) as folder:
        image_source, text_source = find_source(image_encoder), find_source(text_encoder)
        image = export_image_encoder(
            image_source, folder, bar, squash=preprocess == "squash", pooler=pooler, precision=precision
        )
        text = export_text_encoder(
            text_source,
            folder,
            bar,
            precision=precision,
            pooling=pooling,
            quantize=quantize,
            requantize=requantize,
        )
        write_encoders(folder, image, text, bar)
    for note in [*image.recipe.get("notes", []), *text.recipe.get("notes", [])]:
        click.echo(f"edgefuse: {note}.", err=True)
    parity = image.recipe["parity"]
    reference = "fp32" if precision == "int8" else "its source"
    click.echo(
        f"{output}: image encoder {image.precision}, {image.bytes / 1e6:.0f} MB, {image.width} wide, "
        f"mean 1 - cosine to {reference} {parity['mean']:.1e} ({parity['on']}); "
        f"text encoder {text.precision}, {text.bytes / 1e6:.0f} MB, {text.width} wide{_text_parity(text)}."
    )


def _text_parity(text: EncoderSpec) -> str:
    parity = text.recipe.get("parity")
    return f", mean 1 - cosine to its source {parity['mean']:.1e} ({parity['on']})" if parity else ""
