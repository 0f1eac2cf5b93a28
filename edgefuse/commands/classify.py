"""`edgefuse classify`: the answer for one picture, its note, or both; or for a folder or a table of such."""

from __future__ import annotations

import codecs
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgefuse.commands.options import (
    FOLDER,
    chosen_kit,
    engine_option,
    keep_inputs_option,
    kit_option,
    language_option,
    planned_memory_option,
    precision_option,
    threads_option,
)
from edgefuse_runtimes.errors import NotStored

if TYPE_CHECKING:
    from edgefuse.answering.classifier import Classifier
    from edgefuse.answering.memory import MemorySetting
    from edgefuse.batch.running import Outcome
    from edgefuse.results.storing import Storing

EXAMPLE = """\b
Examples: edgefuse classify img.jpg --text notes.txt
          edgefuse classify img.jpg --note "Age: 45 years. Sex: male." --kit my.kit --json
          echo "Age: 45 years." | edgefuse classify img.jpg --text -
          edgefuse classify img.jpg
          edgefuse classify --text notes.txt
          edgefuse classify photos --output answers.jsonl
          edgefuse classify visits.csv --output answers.jsonl"""

SOME_FAILED = 4
"""Exit code where some samples of a batch got no answer."""


@click.command("classify", epilog=EXAMPLE)
@click.argument("image", metavar="[IMAGE|DIR|TABLE.csv]", type=FOLDER, required=False)
@click.option("--text", metavar="FILE|-", help="The note, as a text file; - reads it from standard input.")
@click.option("--note", metavar="WORDS", help="The note itself, instead of --text.")
@kit_option
@engine_option
@precision_option
@threads_option
@planned_memory_option
@click.option("--no-cache", is_flag=True, help="Neither look up nor keep the note's vector in the text cache.")
@click.option("--case", metavar="ID", help="What to call the case in the results log.")
@keep_inputs_option
@click.option("--no-log", is_flag=True, help="Do not store the answer in the results log.")
@click.option(
    "--output",
    metavar="FILE.jsonl",
    type=FOLDER,
    help="The answers of a folder or a table, one JSON line a sample; run again, it goes on where it stopped.",
)
@language_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the page.")
def command(
    image: Path | None,
    text: str | None,
    note: str | None,
    kit: Path | None,
    engine: str,
    precision: str | None,
    threads: int | None,
    memory: MemorySetting,
    no_cache: bool,
    case: str | None,
    keep_inputs: bool,
    no_log: bool,
    output: Path | None,
    language: str | None,
    as_json: bool,
) -> int:
    """Answer for the picture IMAGE and its note, offline.

    Without a note, or without a picture, the head that was trained on the other alone answers, and says how good it is.

    Every answer is stored in this user's results log before it is printed, unless --no-log is given; see 'edgefuse
    results'. Where it cannot be, it is printed all the same, and the exit code is 6.

    With --output, answer for every picture below the folder DIR (the note of img.jpg is img.txt), or for every row of
    TABLE.csv (the columns image, text and, if wanted, id and case; an empty cell is a missing picture or note). A
    sample that cannot be answered is listed at the end, and the exit code is 4.
    """
    from edgefuse.answering.classifier import Classifier
    from edgefuse.results.storing import open_storing

    if no_log and (case is not None or keep_inputs):
        raise click.UsageError("--no-log stores nothing; leave it out, or --case and --keep-inputs.")
    storing = open_storing(log=not no_log, case=case, keep=keep_inputs, say=partial(click.echo, err=True))
    open_classifier = partial(
        Classifier.open, engine=engine, threads=threads, memory=memory, precision=precision, cache=not no_cache
    )
    if output is not None:
        if image is None or text is not None or note is not None:
            raise click.UsageError("With --output name a folder or a table, which has the notes too, and nothing else.")
        if as_json:
            raise click.UsageError("--output writes JSON lines already; leave out --json.")
        if language is not None:
            raise click.UsageError("--output names classes as the kit does, in any language; leave out --lang.")
        if str(output) == "-":
            raise click.UsageError("--output needs the name of a file, which can be gone on with; - is none.")
        with storing:
            return _answer_all(image, output, lambda: open_classifier(chosen_kit(kit), side_by_side=True), storing)
    if as_json and language is not None:
        raise click.UsageError("--json names classes as the kit does, in any language; leave out --lang.")
    _check_one(image, text, note)
    with storing:
        _answer_one(
            image, text, note, lambda: open_classifier(chosen_kit(kit), keep_open=False), storing, as_json, language
        )
    if storing.complaint is not None:
        raise NotStored(storing.complaint)
    return 0


def _check_one(image: Path | None, text: str | None, note: str | None) -> None:
    if text is not None and note is not None:
        raise click.UsageError("Give the note either with --text FILE or with --note WORDS.")
    if image is None and text is None and note is None:
        raise click.UsageError("Give a picture IMAGE, a note with --text FILE or --note WORDS, or both.")
    alone = text is None and note is None
    if image is not None and alone and (image.is_dir() or image.suffix.lower() == ".csv"):
        raise click.UsageError(f"{image} holds many samples; name the file for the answers with --output FILE.jsonl.")


def _answer_one(
    image: Path | None,
    text: str | None,
    note: str | None,
    open_classifier: Callable[[], Classifier],
    storing: Storing,
    as_json: bool,
    language: str | None,
) -> None:
    from edgefuse.answering.class_names import class_names, shown
    from edgefuse.answering.note import given_words, read_note
    from edgefuse.answering.page import render
    from edgefuse.progress import ticking

    words: str | None = None
    remarks: list[str] = []
    if text is not None:
        words, remarks = read_note(text)
    elif note is not None:
        words, remarks = given_words(note)
    given = storing.given(image, words, text)
    with open_classifier() as classifier:
        names = class_names(classifier.kit, language, os.environ)
        with ticking("answering"):
            prediction = classifier.predict(image, words)
        drawn = classifier.kit.drawn
    prediction = storing.store(dataclasses.replace(prediction, notes=remarks + prediction.notes), given)
    if as_json:
        click.echo(json.dumps(prediction.to_json()))
    else:
        encoding = codecs.lookup(sys.stdout.encoding or "ascii").name
        page = render(shown(prediction, names), drawn=drawn, unicode=encoding == "utf-8")
        click.echo(page.encode(encoding, "backslashreplace").decode(encoding))


def _answer_all(source: Path, output: Path, open_classifier: Callable[[], Classifier], storing: Storing) -> int:
    from edgefuse.batch.answers_file import AnswersFile
    from edgefuse.batch.running import classify_batch
    from edgefuse.batch.samples import read_samples
    from edgefuse.progress import bar

    samples, remarks = read_samples(source)
    with open_classifier() as classifier, AnswersFile(output, classifier.kit.digest) as answers:
        if answers.was_torn:
            remarks.append(f"The last line of {output} was half written and was removed; its sample is answered again.")
        for sentence in remarks:
            click.echo(sentence, err=True)
        failed: dict[str, str] = {}
        try:
            done = classify_batch(classifier, samples, answers, failed, storing, progress=bar)
        except KeyboardInterrupt:
            click.echo(
                f"{output} holds {len(answers.answered)} answers; the same command goes on after them.", err=True
            )
            raise
        else:
            click.echo(f"{output}: {_summary(done, len(samples))}", err=True)
        finally:  # the work of hours may have ended early
            _list_failed(failed)
            if storing.complaint is not None:
                amount = "1 answer is" if storing.not_stored == 1 else f"{storing.not_stored} answers are"
                click.echo(f"{amount} not, or not whole, in the results log. {storing.complaint}", err=True)
    return NotStored.exit_code if storing.not_stored else SOME_FAILED if failed else 0


def _summary(done: Outcome, samples: int) -> str:
    rate = f", {done.answered / done.seconds:.1f} a second" if done.answered else ""
    before = f"; {done.before} were answered before" if done.before else ""
    referred = f"; {done.referred} refer to a clinician" if done.referred else ""
    return f"{done.answered} of {samples} samples answered in {done.seconds:.1f} s{rate}{referred}{before}."


def _list_failed(failed: Mapping[str, str]) -> None:
    if failed:
        click.echo(f"{len(failed)} could not be answered; repair them and run the same command again:", err=True)
    for name, sentence in failed.items():
        click.echo(f"  {name}: {sentence}", err=True)
