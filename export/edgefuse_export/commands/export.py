"""`edgefuse export`: two pretrained encoders become the files that a device runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from edgefuse.commands.options import FOLDER, FiniteRange, memory_option, threads_option
from edgefuse_runtimes.spec import TRUE_COLOUR

if TYPE_CHECKING:
    from edgefuse_export.llama import Precision as TextPrecision
    from edgefuse_export.parity.source import Reference
    from edgefuse_export.precision import Choice
    from edgefuse_runtimes.contract import Memory
    from edgefuse_runtimes.spec import Bands, EncoderSpec, Pooling, Views

SEARCH_ERROR = 6e-4
"""The most that the mean of 1 - cosine may be where a search is wanted and no limit given."""

EXAMPLE = """\b
Examples: edgefuse export --image-encoder M/dinov2 --text-encoder M/smollm2 --output E
          edgefuse export --image-encoder dinov2.onnx --text-encoder llama-2.gguf --output E
          edgefuse export --image-encoder M/dinov2 --text-encoder M/minilm --pooling mean --output E
          edgefuse export --clip M/clip --precision fp32 --output E"""


def _bands(context: click.Context, parameter: click.Parameter, text: str) -> Bands:
    places = [int(place) if place.strip().isdecimal() else 0 for place in text.split(",")]
    if len(places) != 3 or min(places) < 1:
        raise click.BadParameter(f"{text!r} is not three numbers from 1 on, as 4,3,2.")
    return places[0], places[1], places[2]


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
@click.option(
    "--views",
    type=click.Choice(["1", "2", "4"]),
    default="1",
    show_default=True,
    help="Encode a picture in so many views and take the mean: 2, its mirror image too; 4, both upside down too, for "
    "pictures that have no up. So many times as slow.",
)
@click.option(
    "--bands",
    metavar="RED,GREEN,BLUE",
    callback=_bands,
    default=",".join(map(str, TRUE_COLOUR)),
    show_default=True,
    help="Places of the colours in TIFF files of many bands, counted from 1; as usual for Sentinel-2.",
)
@click.option("--pooler", is_flag=True, help="Take the pooler's output of a ViT instead of its first token.")
@click.option(
    "--precision",
    type=click.Choice(["int8", "fp32", "both"]),
    default="int8",
    show_default=True,
    help="Weights of ONNX files; fp32 for devices on which int8 is slower, both to choose there.",
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
@click.option(
    "--calibration-pictures",
    type=FOLDER,
    metavar="DIR",
    help="Pictures like those to come: the image encoder's rounding is fitted to them.  [default: drawn ones]",
)
@click.option(
    "--search",
    is_flag=True,
    help="Try several ways to round the image encoder on the calibration pictures, and keep the fastest one within "
    "--max-error (6e-4 where it is not given).",
)
@click.option("--requantize", is_flag=True, help="Take a .gguf file whose weights were quantised below 8 bits.")
@click.option(
    "--samples",
    metavar="DIR|TABLE.csv",
    type=click.Path(path_type=Path),
    help="Compare with the sources on these: a folder of pictures, or a CSV file with the columns image, text and, if "
    "wanted, id, label, group.  [default: the drawn example]",
)
@click.option(
    "--samples-count",
    type=click.IntRange(min=2),
    default=130,
    show_default=True,
    help="How many samples at the most; fewer are quicker, more give finer figures.",
)
@click.option("--with-pictures", is_flag=True, help="Show the worst samples' pictures in the report.")
@click.option("--head", type=FOLDER, help="A head of such encoders: compare the labels that it gives, too.")
@click.option("--kit", type=FOLDER, help="The same with the head of a kit.")
@click.option(
    "--max-error",
    type=FiniteRange(min=0),
    help="Keep nothing if the mean 1 - cosine of either encoder to its source is above this, such as 6e-4.",
)
@click.option(
    "--min-agreement",
    type=FiniteRange(0, 1),
    help="Keep nothing if the head gives the same label to a smaller share of the samples, such as 0.95.",
)
@threads_option
@memory_option
def command(
    image_encoder: str | None,
    text_encoder: str | None,
    clip: str | None,
    output: Path,
    preprocess: str,
    views: str,
    bands: Bands,
    pooler: bool,
    precision: Choice,
    pooling: Pooling | None,
    quantize: TextPrecision,
    calibration_pictures: Path | None,
    search: bool,
    requantize: bool,
    samples: Path | None,
    samples_count: int,
    with_pictures: bool,
    head: Path | None,
    kit: Path | None,
    max_error: float | None,
    min_agreement: float | None,
    threads: int | None,
    memory: Memory,
) -> None:
    """Turn pretrained encoders into small, fast files.

    The image encoder (DINOv2, ViT or CLIP) becomes int8 ONNX; so does the text encoder of a CLIP or a BERT, while a
    LLaMA becomes GGUF Q8_0. Hugging Face folders but LLaMA's need the extra "export-torch"; all else needs "export".
    Both are compared with their sources on samples: parity.json and a page for each encoder say how close they are.
    After an interruption the same command goes on: an encoder that was finished is not made again.
    """
    from edgefuse.progress import bar
    from edgefuse_export.calibration import pictures_content
    from edgefuse_export.encoders_folder import Job, Proof, export_encoders
    from edgefuse_export.parity.gates import Gates
    from edgefuse_export.parity.labels import open_judge
    from edgefuse_export.parity.report import closing_lines, page_name
    from edgefuse_export.parity.samples import read_samples
    from edgefuse_export.resources import limited
    from edgefuse_export.search import Search
    from edgefuse_export.sources import find_source, require_export_extra
    from edgefuse_export.text import becomes_gguf, export_text_encoders, require_text_source
    from edgefuse_export.vision import export_image_encoders
    from edgefuse_runtimes.errors import BadInput
    from edgefuse_runtimes.files import require_name

    require_name(output)
    if clip is not None and (image_encoder is not None or text_encoder is not None):
        raise BadInput("--clip names both encoders; leave --image-encoder and --text-encoder out.")
    image_encoder, text_encoder = image_encoder or clip, text_encoder or clip
    if image_encoder is None or text_encoder is None:
        raise BadInput("Two encoders are needed; give --image-encoder and --text-encoder, or --clip for both.")
    require_export_extra()  # before samples are read or drawn
    image_source, text_source = find_source(image_encoder), find_source(text_encoder)
    require_text_source(  # its turn comes after minutes of work on the image encoder
        text_source, pooling=pooling, quantize=quantize, requantize=requantize
    )
    judge, gates = open_judge(head, kit), Gates(max_error, min_agreement)
    gates.check_head(judge is not None)
    proof = Proof(read_samples(samples, samples_count, bar), judge, gates, with_pictures)
    limit = (max_error or SEARCH_ERROR) if search else None

    def export_image(folder: Path, reference: Reference) -> list[EncoderSpec]:
        return export_image_encoders(
            image_source,
            folder,
            bar,
            squash=preprocess == "squash",
            views=cast("Views", int(views)),
            bands=bands,
            pooler=pooler,
            precision=precision,
            calibration=calibration_pictures,
            search=None if limit is None else Search(limit, _say_lines),
            reference=reference,
        )

    def export_text(folder: Path, reference: Reference) -> list[EncoderSpec]:
        return export_text_encoders(
            text_source,
            folder,
            bar,
            precision=precision,
            pooling=pooling,
            quantize=quantize,
            requantize=requantize,
            reference=reference,
        )

    image_options = {
        "preprocess": preprocess,
        "pooler": pooler,
        "precision": precision,
        "calibration": None if calibration_pictures is None else pictures_content(calibration_pictures),
        "search": limit,
        **({"views": int(views)} if views != "1" else {}),
        **({"bands": list(bands)} if bands != TRUE_COLOUR else {}),
    }
    text_options = {"precision": precision, "pooling": pooling, "quantize": quantize, "requantize": requantize}
    text_precision = quantize if becomes_gguf(text_source) else precision
    with limited(threads, memory):
        made = export_encoders(
            output,
            {
                "image": Job(image_source, image_options, precision, export_image),
                "text": Job(text_source, text_options, text_precision, export_text),
            },
            proof,
            bar,
            _say,
        )
    if made is None:
        _say(f"{output} is made already, of these sources with these options; nothing to do.")
        return
    encoders, report = made
    image, text = encoders.image, encoders.text
    for note in [*image.recipe.get("notes", []), *text.recipe.get("notes", [])]:
        _say(f"edgefuse: {note}.")
    told = (f"{spec.modality} encoder {spec.precision}, {spec.total_bytes / 1e6:.0f} MB, {spec.width} wide"
            for spec in encoders.specs)  # fmt: skip
    click.echo(f"{output}: {'; '.join(told)}.")
    for line in closing_lines(report):
        click.echo(line)
    click.echo(f"See {' and '.join(str(output / page_name(name)) for name in report['encoders'])}.")


def _say_lines(lines: list[str]) -> None:
    click.echo("\n".join(lines), err=True)


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)
