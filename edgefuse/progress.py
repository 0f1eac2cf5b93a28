"""Progress on stderr for steps that last over a second."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

import click

T = TypeVar("T")


class Progress(Protocol):
    """How a long step tells where it is: `for row in progress("images", rows, len(rows)): ...`."""

    def __call__(self, label: str, items: Iterable[T], length: int | None = None) -> Iterator[T]:
        """Yield `items`, and show how many of `length` are done."""
        ...


def silent(label: str, items: Iterable[T], length: int | None = None) -> Iterator[T]:
    """The progress that shows nothing."""
    yield from items


def bar(label: str, items: Iterable[T], length: int | None = None) -> Iterator[T]:
    """A bar on stderr; where stderr is no terminal, one line when the step ends."""
    started = time.monotonic()
    with click.progressbar(
        items,
        length=length,
        label=f"{label:<28}",
        file=sys.stderr,
        show_pos=True,
        hidden=not sys.stderr.isatty(),
    ) as shown:
        yield from shown
    if not sys.stderr.isatty():
        click.echo(f"{label}: {time.monotonic() - started:.1f} s", err=True)


@contextmanager
def waiting(label: str, show: bool = True) -> Iterator[None]:
    """Seconds ticking beside `label` while one opaque call runs."""
    if not show:
        yield
        return
    done = threading.Event()
    started = time.monotonic()
    clock = threading.Thread(target=_tick, args=(label, started, done.wait), daemon=True)
    if sys.stderr.isatty():
        clock.start()
    try:
        yield
    finally:
        done.set()
        if sys.stderr.isatty():
            clock.join()
            click.echo("\r", nl=False, err=True)
        click.echo(f"{label}: {time.monotonic() - started:.1f} s", err=True)


def _tick(label: str, started: float, wait: Callable[[float], bool]) -> None:
    while not wait(0.2):
        click.echo(f"\r{label} ... {time.monotonic() - started:.0f} s", nl=False, err=True)
