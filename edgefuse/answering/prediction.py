"""One answer: what it says, and what it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Prediction:
    """One answer, and what it took."""

    image: str | None
    """The picture's path as it was given, "(in memory)", or None where there was none."""
    label: str
    """The likeliest class, also where the answer is referred; multilabel: all of `labels`, joined by "|"."""
    labels: list[str]
    """The likeliest class; of a multilabel kit every class with a probability of .5 or more, which may be none."""
    referred: bool
    """Whether the answer is "ask a clinician": the head is not sure enough."""
    reason: str | None
    """Why it is referred, as a sentence; None where it is not."""
    probabilities: dict[str, float]
    """By class, in the kit's order."""
    kit: dict[str, str]
    """"name", "version" and "digest"."""
    missing: list[str]
    """The modality that was not given, "image" or "text"; the head of the other one answered."""
    engines: dict[str, str | None]
    """What ran the "image" and the "text" encoder; None for a missing one."""
    precisions: dict[str, str | None]
    """Of the files that were run, by modality; None for a missing one."""
    cached: list[str]
    """The modality whose vector came from the text cache, "text"; its engine is the one that had made the vector."""
    timings_ms: dict[str, float]
    """"load" (kit and engines), "image", of which "decode", "text", of which "tokenise", "head", and "total"."""
    memory: dict[str, int]
    """"peak_rss_bytes" over all processes, "anon_bytes" and "file_bytes" of this one at the end."""
    notes: list[str]
    """Every warning, as sentences."""
    tuned: bool = False
    """Whether engines, threads and precisions are what `edgefuse tune` chose for this kit on this device."""
    number: int | None = None
    """Its number in the results log; None where it was not stored."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, in the published layout."""
        return asdict(self)


class Clock:
    """Milliseconds per stage of one answer."""

    def __init__(self, *, load_ms: float, decode_ms: float, image_ms: float = 0.0) -> None:
        """Start with what was spent already on loading, on reading the picture and on encoding it."""
        self._started = time.perf_counter() - (load_ms + decode_ms + image_ms) / 1000
        self._stages = dict.fromkeys(("load", "image", "decode", "text", "tokenise", "head"), 0.0)
        self._stages |= {"load": load_ms, "image": decode_ms + image_ms, "decode": decode_ms}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of the block to the stage `name`; a block may lie inside the block of another stage."""
        started = time.perf_counter()
        yield
        self._stages[name] += milliseconds(started)

    def milliseconds(self) -> dict[str, float]:
        """Of every stage so far, and "total"."""
        stages = self._stages | {"total": milliseconds(self._started)}
        return {name: round(value, 4) for name, value in stages.items()}


def milliseconds(started: float) -> float:
    """Since `started`, a reading of `time.perf_counter`."""
    return (time.perf_counter() - started) * 1000
