"""What the results log costs: python bench/compare_log.py --help

A batch waits for the disk twice an answer: until the answer is in the log, and until its line is in its own file.
Each round stores the same answer in a log (with what a first one costs left out), appends it to a file of answers, and
classifies the same notes with and without the log; the order alternates, so that a busy machine slows all alike.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

from edgefuse import Classifier
from edgefuse.answering.prediction import Prediction
from edgefuse.batch.answers_file import AnswersFile
from edgefuse.batch.running import classify_batch
from edgefuse.batch.samples import BatchSample
from edgefuse.card import processor_name
from edgefuse.datasets.drawn import draw
from edgefuse.progress import bar
from edgefuse.results.inputs import Given
from edgefuse.results.log import ResultsLog
from edgefuse.results.storing import open_storing
from edgefuse_runtimes.errors import EdgefuseError

FIRST_SEED = 4_000_000


def each_ms(work: Callable[[], object], count: int) -> float:
    """The median of what one call takes, in milliseconds."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times)


def store_ms(folder: Path, prediction: Prediction, count: int) -> float:
    """Of an answer in the log."""
    with ResultsLog.open(folder / "log") as log:
        log.store(prediction, Given())
        return each_ms(lambda: log.store(prediction, Given("0" * 32, "0" * 32)), count)


def append_ms(folder: Path, prediction: Prediction, count: int) -> float:
    """Of a line in the file of answers."""
    with AnswersFile(folder / "lines.jsonl", prediction.kit["digest"]) as answers:
        return each_ms(lambda: answers.append("sample", prediction.to_json()), count)


def batch_rate(classifier: Classifier, samples: list[BatchSample], output: Path, *, log: bool) -> float:
    """Samples a second of a batch that begins a new file."""
    output.unlink(missing_ok=True)
    failed: dict[str, str] = {}
    with AnswersFile(output, classifier.kit.digest) as answers, open_storing(log=log, say=click.echo) as storing:
        done = classify_batch(classifier, samples, answers, failed, storing)
    assert not failed, failed
    assert storing.complaint is None, storing.complaint
    return done.answered / done.seconds


@click.command(epilog="Example: python bench/compare_log.py my.kit --folder /media/card/scratch")
@click.argument("kit", type=click.Path(path_type=Path))
@click.option("--engine", default="auto", show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="On the disk to measure.  [default: a temporary one]")
@click.option("--count", type=click.IntRange(min=1), default=100, show_default=True, help="Answers a round.")
@click.option("--rounds", type=click.IntRange(min=1), default=6, show_default=True)
def main(kit: Path, engine: str, folder: Path | None, count: int, rounds: int) -> None:
    """Compare answers of KIT that are stored with answers that are not; notes are drawn, and in the text cache."""
    scratch = Path(tempfile.mkdtemp(prefix="compare-log-", dir=folder))
    os.environ["XDG_CACHE_HOME"] = str(scratch / "cache")  # the user's own stay as they are
    os.environ["EDGEFUSE_HOME"] = str(scratch / "home")
    drawn = [draw(FIRST_SEED + number) for number in range(5)]
    for number, sample in enumerate(drawn):
        sample.image.save(scratch / f"{number}.jpg")
    samples = [BatchSample(str(n), scratch / f"{n % 5}.jpg", drawn[n % 5].note) for n in range(count)]
    try:
        with Classifier.open(kit, engine=engine) as classifier:
            prediction = classifier.predict(samples[0].image, drawn[0].note)
            ways: dict[str, Callable[[], float]] = {
                "store, ms": lambda: store_ms(scratch, prediction, count),
                "append, ms": lambda: append_ms(scratch, prediction, count),
                "batch with log, a second": lambda: batch_rate(classifier, samples, scratch / "a.jsonl", log=True),
                "batch without, a second": lambda: batch_rate(classifier, samples, scratch / "b.jsonl", log=False),
            }
            found: dict[str, list[float]] = {way: [] for way in ways}
            for turn in bar("rounds", range(rounds + 1), rounds + 1):
                for way in list(ways)[:: 1 if turn % 2 else -1]:
                    figure = ways[way]()
                    if turn:  # the first opens the encoders
                        found[way].append(figure)
    except EdgefuseError as error:
        click.echo(f"compare_log: {error}", err=True)
        sys.exit(error.exit_code)
    finally:
        shutil.rmtree(scratch)
    click.echo(f"{processor_name()}, {count} answers a round, {rounds} rounds, engines {prediction.engines}")
    for way, figures in found.items():
        click.echo(f"{way:<26}{statistics.median(figures):>8.2f}   {min(figures):.2f} .. {max(figures):.2f}")
    first, second = (found[way] for way in ("batch with log, a second", "batch without, a second"))
    ratios = [one / other for one, other in zip(first, second, strict=True)]
    click.echo(f"{'ratio of a round':<26}{statistics.median(ratios):>8.2f}   {min(ratios):.2f} .. {max(ratios):.2f}")


if __name__ == "__main__":
    main()
