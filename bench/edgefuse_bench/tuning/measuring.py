"""One configuration measured by the harness, as `bench run` does, and read stage by stage."""

from __future__ import annotations

import math
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from edgefuse.kits.tuned import MODALITIES, StageChoice
from edgefuse.percentiles import percentile
from edgefuse_bench.harness import run
from edgefuse_bench.settings import Settings
from edgefuse_bench.tuning.search import Configuration, Measure, Ran, TooSlowError
from edgefuse_runtimes.spec import Modality

WARMUP = 1
"""Queries after loading that are not counted."""


def measure(kit: Path) -> Measure:
    """What runs a configuration of this kit in a fresh process."""

    def run_one(one: Configuration, queries: int, limit_s: float) -> Mapping[Modality, Ran]:
        # Threads are named always, so that an earlier choice does not count.
        settings = Settings(
            engine=one.engine, threads=one.threads, precision=one.precision, queries=queries, warmup=WARMUP, repeats=1
        )
        with at_most(limit_s):
            result = run(kit, settings)
        return {
            modality: Ran(
                StageChoice(str(result.engines[modality]), one.threads, str(result.precisions[modality])),
                percentile([query.stages_ns[modality] for query in result.queries], 0.5),
            )
            for modality in MODALITIES
        }

    return run_one


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Stop the block after so many seconds; only in the main thread, where a signal can interrupt.

    The harness kills its processes when it is interrupted.

    Raises:
        TooSlowError: the block took longer.
    """
    if math.isinf(seconds):
        yield
        return

    def stop(*_: object) -> NoReturn:
        raise TooSlowError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
