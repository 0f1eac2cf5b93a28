"""What runs in a fresh process: one kit, one setting, its part of the queries. Started by `harness.py`.

It does as little as it can beside answering, so that its memory and times are those of answering: what came out goes
into files as it comes, and figures are made of them by the harness.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.answering.classifier import Classifier
from edgefuse.kits.golden import NOTES, PICTURES
from edgefuse_bench import asking, memory
from edgefuse_bench.asking import Asker
from edgefuse_bench.files_in_use import files_in_use
from edgefuse_bench.order import ANSWERS, GOLDEN, LOG, OUTCOME, Order
from edgefuse_bench.query_log import QueryLog
from edgefuse_runtimes.errors import EdgefuseError
from edgefuse_runtimes.files import new_file, write_json


def measure(order: Order, spawned_ns: int, entered_ns: int) -> dict[str, Any]:
    """Do as ordered; what there is to tell beside queries, answers and golden vectors, which go into files.

    Args:
        order: what to do.
        spawned_ns: the clock's reading when this process was started.
        entered_ns: and when it came to our code, with all imports done.

    Raises:
        EdgefuseError: the kit cannot be opened or answered with.
    """
    folder = Path(order.folder)
    stages: dict[str, dict[str, int]] = {}
    files: set[str] = set()

    def watch(stage: str, _: object = None) -> None:
        stages[stage] = _held().to_json()
        if order.names_files:
            files.update(files_in_use(os.getpid()))  # now, while the stage's worker runs

    watch("start")
    opened = time.monotonic_ns()
    with (
        Classifier.open(
            order.kit,
            engine=order.engine,
            threads=order.threads,
            precision=order.precision,
            cache=False,
            keep_open=order.scenario != "Cold",
            side_by_side=order.scenario == "Offline",
        ) as classifier,
        QueryLog(folder / LOG) as log,
    ):
        open_ns = time.monotonic_ns() - opened
        watch("open")
        asker = Asker(classifier, order.samples, log)
        classifier.watch = watch
        if order.scenario == "Cold":
            asking.cold(asker, order, spawned_ns, entered_ns)
        else:
            asking.load(asker, order, open_ns)
            classifier.watch = None
            asking.warm_up(asker, order)
            _ask_all(asker, order, classifier, log)
        watch("end")
        at_end = _processes()
        specs = _write_golden(folder / GOLDEN, classifier) if order.asks_golden else {}
    _write_answers(folder / ANSWERS, asker, len(order.samples), len(classifier.kit.classes))
    return {
        "open_ns": open_ns,
        "engines": asker.engines,
        "precisions": asker.precisions,
        "golden_precisions": specs,
        "threads": classifier.threads,
        "tuned": asker.tuned,
        "notes": list(asker.notes),
        "referred": sorted(asker.referred),
        "unreadable": {str(index): sentence for index, sentence in asker.unreadable.items()},
        "files": sorted(files),
        "stages": stages,
        "processes": at_end,
    }


def _ask_all(asker: Asker, order: Order, classifier: Classifier, log: QueryLog) -> None:
    if order.scenario == "Offline":
        from edgefuse_bench.offline import offline  # reading tables takes memory that no other scenario needs

        offline(asker, order, classifier, log)
    elif order.scenario == "Sustained":
        asking.sustained(asker, order)
    else:
        asking.single_stream(asker, order)


def _held() -> memory.Held:
    return memory.together(memory.held_by(pid) for pid in memory.process_tree(os.getpid()))


def _processes() -> list[dict[str, Any]]:
    """What this process and each worker hold."""
    return [
        {"name": "worker" if number else "answering", **memory.held_by(pid).to_json()}
        | {"pss_bytes": memory.proportional_bytes(pid)}
        for number, pid in enumerate(memory.process_tree(os.getpid()))
    ]


def _write_answers(path: Path, asker: Asker, samples: int, classes: int) -> None:
    """The probabilities (n, K) of the samples; NaN where a sample got no answer."""
    found = np.full((samples, classes), np.nan)
    for index, row in asker.probabilities.items():
        found[index] = row
    with new_file(path) as file:
        np.save(file, found)


def _write_golden(path: Path, classifier: Classifier) -> dict[str, str | None]:
    """Write what the golden samples give here: "image" (k, d_i), "text" (k, d_t), "probabilities" (k, K).

    Returns the precisions of the files that gave it.
    """
    rows: dict[str, list[NDArray[np.float32]]] = {"image": [], "text": []}
    probabilities = []

    def watch(stage: str, vectors: NDArray[np.float32] | None = None) -> None:
        if vectors is not None and stage in rows:
            rows[stage].append(vectors[0])

    classifier.watch = watch
    for picture, note in zip(PICTURES, NOTES, strict=True):
        words = classifier.kit.file(note).read_text(encoding="utf-8")
        answer = classifier.predict(classifier.kit.file(picture), words)
        probabilities.append(list(answer.probabilities.values()))
    classifier.watch = None
    image, text = np.stack(rows["image"]), np.stack(rows["text"])  # (k, d_i), (k, d_t)
    with new_file(path) as file:
        np.savez(file, image=image, text=text, probabilities=np.array(probabilities))
    return answer.precisions


@contextmanager
def _refusals_to(output: Path) -> Iterator[None]:
    try:
        yield
    except EdgefuseError as error:
        write_json(output, {"refused": str(error), "exit_code": error.exit_code})


def main(path: str, spawned_ns: str) -> None:
    """Measure as the order in the file `path` says, and write the outcome into its folder."""
    entered = time.monotonic_ns()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the harness, which then ends this process
    order = Order.read(Path(path))
    output = Path(order.folder) / OUTCOME
    with _refusals_to(output):
        write_json(output, measure(order, int(spawned_ns), entered))


if __name__ == "__main__":
    main(*sys.argv[1:])
