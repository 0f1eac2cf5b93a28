"""Rounds: in each, every peer encodes the same few samples, one peer after the other, in an order that changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgefuse.progress import Progress, silent
from edgefuse_runtimes.errors import EdgefuseError

S = TypeVar("S")
Floats = NDArray[np.float32]

PAUSE_SECONDS = 0.05
"""Before a peer's turn: until then, threads of the last one may still turn in a loop, waiting for more."""


@dataclass
class Played:
    """What came of the rounds."""

    times: dict[str, list[list[int]]] = field(default_factory=dict)
    """By peer: nanoseconds of each sample of each round."""
    vectors: dict[str, list[Floats]] = field(default_factory=dict)
    """By peer: a vector (d,) for each sample, in the order of the rounds."""
    failures: dict[str, str] = field(default_factory=dict)
    """By peer that failed in a round: a sentence. It has no times and vectors."""


def play(
    peers: Mapping[str, Callable[[S], Floats]],
    rounds: Sequence[Sequence[S]],
    progress: Progress = silent,
    *,
    pause: float = PAUSE_SECONDS,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Played:
    """Give the samples of each round to every peer; its first one of a round twice, of which the second counts.

    A busy or throttling machine so slows all of them alike. A peer that fails is left out from then on.
    """
    played = Played({name: [] for name in peers}, {name: [] for name in peers})
    for number, samples in enumerate(progress("rounds", rounds, len(rounds))):
        names = [name for name in peers if name not in played.failures]
        first = number % max(1, len(names))
        for name in (*names[first:], *names[:first]):
            time.sleep(pause)
            try:
                times, vectors = _turn(peers[name], samples, clock)
            except EdgefuseError as error:
                played.failures[name] = str(error)
                del played.times[name], played.vectors[name]
                continue
            played.times[name].append(times)
            played.vectors[name] += vectors
    return played


def _turn(
    encode: Callable[[S], Floats], samples: Sequence[S], clock: Callable[[], int]
) -> tuple[list[int], list[Floats]]:
    """Nanoseconds and vectors of a round's samples."""
    encode(samples[0])  # the others drove its weights out of the processor's cache
    times, vectors = [], []
    for sample in samples:
        started = clock()
        vectors.append(encode(sample))
        times.append(clock() - started)
    return times, vectors
