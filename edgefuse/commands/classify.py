"""`edgefuse classify`: the answer for one picture and its note."""

from __future__ import annotations

import codecs
import dataclasses
import json
import sys
from pathlib import Path

import click

from edgefuse.commands.options import FOLDER, engine_option, precision_option, threads_option

EXAMPLE = """\b
Examples: edgefuse classify img.jpg --text notes.txt
          edgefuse classify img.jpg --note "Age: 45 years. Sex: male." --kit my.kit --json
          echo "Age: 45 years." | edgefuse classify img.jpg --text -"""


@click.command("classify", epilog=EXAMPLE)
@click.argument("image", type=FOLDER)
@click.option("--text", metavar="FILE|-", help="The note, as a text file; - reads it from standard input.")
@click.option("--note", metavar="WORDS", help="The note itself, instead of --text.")
@click.option(
    "--kit",
    type=FOLDER,
    help="The kit to answer with.  [default: $EDGEFUSE_KIT, then the active kit]",
)
@engine_option
@precision_option
@threads_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the page.")
def command(
    image: Path,
    text: str | None,
    note: str | None,
    kit: Path | None,
    engine: str,
    precision: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Answer for the picture IMAGE and its note, offline."""
    from edgefuse.active import find_kit
    from edgefuse.answer import render
    from edgefuse.classifier import Classifier
    from edgefuse.note import given_words, read_note
    from edgefuse.progress import ticking

    if (text is None) == (note is None):
        raise click.UsageError("Give the note either with --text FILE or with --note WORDS.")
    words, remarks = read_note(text) if text is not None else given_words(note or "")
    with Classifier.open(
        kit or find_kit(), engine=engine, threads=threads, keep_open=False, precision=precision
    ) as classifier:
        with ticking("answering"):
            prediction = classifier.predict(image, words)
        drawn = classifier.kit.drawn
    prediction = dataclasses.replace(prediction, notes=remarks + prediction.notes)
    if as_json:
        click.echo(json.dumps(prediction.to_json()))
    else:
        encoding = codecs.lookup(sys.stdout.encoding or "ascii").name
        page = render(prediction, drawn=drawn, unicode=encoding == "utf-8")
        click.echo(page.encode(encoding, "backslashreplace").decode(encoding))
