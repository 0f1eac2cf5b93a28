"""Cells on all cores: worker processes that each read the table and train one head at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from multiprocessing.connection import Connection
from typing import NamedTuple

from edgefuse.embeddings import Table
from edgefuse.sweep.cells import Aligned, Cell, Result, aligned, run
from edgefuse.training.align import Matching
from edgefuse.training.trainer import Settings
from edgefuse_runtimes.errors import DoesNotFit
from edgefuse_runtimes.machine import set_blas_threads


class Work(NamedTuple):
    """What all cells have in common; a table that is mapped from its files is sent as their names alone."""

    table: Table
    matching: Matching
    settings: Settings


_work: Work | None = None
"""Of this process, where it is a worker."""


def compute(work: Work, cells: Sequence[Cell], jobs: int) -> Iterator[Result]:
    """Train and judge all cells on `jobs` processes with one BLAS thread each; results come as they are finished.

    Cells of one shift should follow one another, as a worker keeps the rows of the last one.

    Raises:
        DoesNotFit: a worker process ended.
    """
    context = multiprocessing.get_context("spawn")  # a fork would take over BLAS threads that do not live on
    ears, mouth = context.Pipe(duplex=False)
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(work, ears)) as pool:
        try:
            futures = [pool.submit(_run, cell) for cell in cells]
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise DoesNotFit(
                "A worker of the sweep ended, most likely for want of memory; run the same command again to go on, "
                "with fewer --jobs."
            ) from error
        finally:
            mouth.close()  # whatever still runs is not wanted any more


def _begin(work: Work, ears: Connection) -> None:
    """Make this process a worker, which ends when the pipe's other side is closed, or its owner is gone."""
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the first one ends the others
    set_blas_threads(1)

    def listen() -> None:
        ears.poll(None)
        os._exit(1)

    threading.Thread(target=listen, daemon=True).start()


def _run(cell: Cell) -> Result:
    assert _work is not None
    return run(_work.table, _rows(cell.shift), cell, _work.settings)


@lru_cache(maxsize=1)
def _rows(shift: float) -> Aligned:
    assert _work is not None
    return aligned(_work.table, _work.matching, shift)
