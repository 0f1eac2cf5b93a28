"""Progress on stderr for steps that last over a second.

click is imported where it is shown: whoever imports `silent` alone, as the classifier does, needs no click.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

FITTING = 0
"""click's width of a bar that takes what is left of the terminal's line; a longer one would stay at every step."""


class Progress(Protocol):
    """How a long step tells where it is: `for row in progress("images", rows, len(rows)): ...`."""

    def __call__(
        self, label: str, items: Iterable[T], length: int | None = None, *, size: Callable[[T], int] | None = None
    ) -> Iterator[T]:
        """Yield `items`, and show how many of `length` are done.

        `size` gives an item's bytes; `length` is their sum then, and bytes are what is shown.
        """
        ...


def silent(
    label: str, items: Iterable[T], length: int | None = None, *, size: Callable[[T], int] | None = None
) -> Iterator[T]:
    """The progress that shows nothing."""
    yield from items


def bar(
    label: str, items: Iterable[T], length: int | None = None, *, size: Callable[[T], int] | None = None
) -> Iterator[T]:
    """A bar on stderr, or for a single item, whose work cannot be looked into, its seconds ticking.

    Where stderr is no terminal: one line when the step ends.
    """
    import click

    started = time.monotonic()
    watched = sys.stderr.isatty()
    done = 0
    if size is not None:
        with _bar_of_bytes(label, length, watched) as shown:
            for item in items:
                yield item
                done += size(item)
                shown.update(size(item), done)
    elif length == 1:
        with ticking(label):
            yield from items
    else:
        with click.progressbar(
            items,
            length=length,
            label=f"{label:<28}",
            width=FITTING,
            file=sys.stderr,
            show_pos=True,
            hidden=not watched,
        ) as shown:
            yield from shown
    if not watched or (length == 1 and size is None):
        amount = "" if size is None else f"{in_bytes(done)}, "
        click.echo(f"{label}: {amount}{time.monotonic() - started:.1f} s", err=True)


@contextmanager
def moved(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr that the block moves by so many steps at a time.

    Where stderr is no terminal: one line when the block ends well.
    """
    import click

    started = time.monotonic()
    watched = sys.stderr.isatty()
    with click.progressbar(
        length=length, label=f"{label:<28}", width=FITTING, file=sys.stderr, show_pos=True, hidden=not watched
    ) as shown:
        yield shown.update
    if not watched:
        click.echo(f"{label}: {time.monotonic() - started:.1f} s", err=True)


def in_bytes(size: float) -> str:
    """A size as it is told to people: "7.16 GB"."""
    if size >= 1e9:
        return f"{size / 1e9:.2f} GB"
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def _bar_of_bytes(label: str, length: int | None, watched: bool) -> Any:
    import click

    def said(done: int | None) -> str:
        return f"{in_bytes(done or 0)} of {in_bytes(length or 0)}"

    return click.progressbar(
        length=length, label=f"{label:<28}", width=FITTING, file=sys.stderr, item_show_func=said, hidden=not watched
    )


@contextmanager
def ticking(label: str) -> Iterator[None]:
    """Seconds ticking beside `label` on stderr while the block runs, then a clear line; nothing without a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    import click

    started, done = time.monotonic(), threading.Event()

    def tick() -> None:
        while not done.wait(0.2):
            click.echo(f"\r{label} ... {time.monotonic() - started:.0f} s", nl=False, err=True)

    clock = threading.Thread(target=tick, daemon=True)
    clock.start()
    try:
        yield
    finally:
        done.set()
        clock.join()
        click.echo("\r\x1b[K", nl=False, err=True)
