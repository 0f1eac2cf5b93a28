"""What runs in the fresh child process: one kit, one setting, every query's time. Started by `harness.py`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgefuse.answering.classifier import Classifier
from edgefuse.answering.note import read_note
from edgefuse.answering.prediction import Prediction
from edgefuse.card import machine_card
from edgefuse.kits.golden import NOTES, PICTURES
from edgefuse.kits.kit import Kit
from edgefuse.progress import bar
from edgefuse_bench.scenario import single_stream
from edgefuse_runtimes.errors import EdgefuseError
from edgefuse_runtimes.files import write_json
from edgefuse_runtimes.machine import process_memory

SCHEMA = 1
Sample = tuple[Path, str]


def measure(
    kit: Path, *, samples: int, warmup: int, engine: str, threads: int | None, precision: str | None = None
) -> dict[str, Any]:
    """Ask the kit's golden samples in turn: once with loading, `warmup` times apart, then `samples` times.

    Raises:
        EdgefuseError: the kit cannot be opened or answered with.
    """
    started, opened = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter_ns()
    answers: list[Prediction] = []
    with Classifier.open(kit, engine=engine, threads=threads, precision=precision, cache=False) as classifier:
        open_ns = time.perf_counter_ns() - opened
        golden = golden_samples(classifier.kit)

        def answer(sample: Sample) -> Mapping[str, float]:
            answers[:] = [classifier.predict(*sample)]
            return answers[0].timings_ms

        def ask(label: str, first: int, count: int) -> list[dict[str, Any]]:
            order = (index % len(golden) for index in range(first, first + count))
            return [asdict(query) for query in single_stream(answer, golden, bar(label, order, count))]

        first = ask("first answer", 0, 1)[0]
        warm = ask("warm-up", 1, warmup)
        queries = ask("measuring", 1 + warmup, samples)
        last, memory = answers[0], process_memory()
        return {
            "schema": SCHEMA,
            "kind": "bench run",
            "scenario": "SingleStream",
            "started": started,
            "kit": last.kit,
            "settings": {
                "engine": engine,
                "precision": precision,
                "threads": threads,
                "samples": samples,
                "warmup": warmup,
            },
            "engines": last.engines,
            "precisions": last.precisions,
            "samples": {"source": "golden", "drawn": True, "pictures": [path.name for path, _ in golden]},
            "open_ns": open_ns,
            "first": first,
            "warmup": warm,
            "queries": queries,
            "memory": {
                "peak_rss_bytes": last.memory["peak_rss_bytes"],
                "vm_hwm_bytes": memory.peak_rss_bytes,
                "anon_bytes": memory.anon_bytes,
                "file_bytes": memory.file_bytes,
            },
            "notes": last.notes,
            "machine": machine_card(),
        }


def golden_samples(kit: Kit) -> list[Sample]:
    """The kit's own pictures and notes."""
    return [
        (kit.file(picture), read_note(str(kit.file(note)))[0]) for picture, note in zip(PICTURES, NOTES, strict=True)
    ]


@contextmanager
def _refusals_to(output: Path) -> Iterator[None]:
    try:
        yield
    except EdgefuseError as error:
        write_json(output, {"refused": str(error), "exit_code": error.exit_code})


def main(order: str) -> None:
    """Measure as the JSON object `order` says and write the result to its "output"."""
    settings = json.loads(order)
    output = Path(settings.pop("output"))
    with _refusals_to(output):
        write_json(output, measure(Path(settings.pop("kit")), **settings))


if __name__ == "__main__":
    main(sys.argv[1])
