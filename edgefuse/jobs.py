"""Work on all cores: processes that each do one piece at a time with one BLAS thread, none left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from edgefuse_runtimes.errors import DoesNotFit
from edgefuse_runtimes.machine import set_blas_threads

Item = TypeVar("Item")
Result = TypeVar("Result")

_work: Callable[[Any], Any] | None = None
"""Of this process, where it is one at work."""


def on_all_cores(make: Callable[[], Callable[[Item], Result]], items: Sequence[Item], jobs: int) -> Iterator[Result]:
    """What `make()` gives, done for all items on `jobs` processes; results come as they are finished.

    `make` is sent to each process and called there once: a `functools.partial` of a module's function and its
    arguments. A table that is mapped from its files is sent as their names alone.

    Raises:
        DoesNotFit: a process ended.
    """
    context = multiprocessing.get_context("spawn")  # a fork would take over BLAS threads that do not live on
    ears, mouth = context.Pipe(duplex=False)
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(make, ears)) as pool:
        try:
            futures = [pool.submit(_run, item) for item in items]
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise DoesNotFit(
                "A process at work ended, most likely for want of memory; run the same command again to go on, "
                "with fewer --jobs."
            ) from error
        finally:
            mouth.close()  # whatever still runs is not wanted any more


def _begin(make: Callable[[], Callable[[Any], Any]], ears: Connection) -> None:
    """Put this process to work; it ends when the pipe's other side is closed, or its owner is gone."""
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the first one ends the others
    set_blas_threads(1)

    def listen() -> None:
        ears.poll(None)
        os._exit(1)

    threading.Thread(target=listen, daemon=True).start()
    _work = make()


def _run(item: Any) -> Any:
    assert _work is not None
    return _work(item)
