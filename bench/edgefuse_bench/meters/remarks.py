"""What the readings mean for a run, in sentences for its notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import or_
from typing import Any

from edgefuse_runtimes.sensors.throttling import BITS, SINCE_START, now, since_start

NOW_BITS = sum(1 << bit for bit in BITS)


def remarks(results: Sequence[dict[str, Any]]) -> list[str]:
    """A sentence for everything that may have slowed the machine down, of `Sampler.results`; [] when all was well."""
    kinds = {
        "throttling": _throttling,
        "throttle count": _throttle_count,
        "temperature": _temperature,
        "battery power": _battery,
    }
    return [
        sentence
        for result in results
        if result["name"] in kinds and result.get("readings")
        for sentence in kinds[result["name"]](result)
    ]


def _throttling(result: dict[str, Any]) -> Iterator[str]:
    bits = [reading["value"] for reading in result["readings"]]
    # Between two readings only the bits that stay tell what happened.
    new = bits[-1] & ~bits[0] & NOW_BITS << SINCE_START
    during = [*accumulate(bits, or_)][-1] & NOW_BITS | new >> SINCE_START
    if during:
        yield (
            f"The machine was slowed down during the run ({', '.join(now(during))}): these times are not what it can do"
            f" with {_remedy(during)}."
        )
    before = [words for words in since_start(bits[0]) if words not in now(during)]
    if before:
        yield f"Before this run, since it was started, the machine had: {', '.join(before)}."


def _remedy(bits: int) -> str:
    power, heat = bits & 0b1, bits & 0b1000
    words = ["a stronger power supply"] * bool(power) + ["better cooling"] * bool(heat or not power)
    return " and ".join(words)


def _throttle_count(result: dict[str, Any]) -> Iterator[str]:
    times = result["readings"][-1]["value"] - result["readings"][0]["value"]
    if times > 0:
        yield (
            f"Heat slowed the processor down {times} time{'s' if times > 1 else ''} during the run: these times are "
            "not what it can do with better cooling."
        )


def _temperature(result: dict[str, Any]) -> Iterator[str]:
    limit, highest = result["info"].get("slows_down_at"), max(reading["value"] for reading in result["readings"])
    if limit is not None and highest >= limit:
        yield (
            f"The processor reached {highest:.0f} °C; from {limit:.0f} °C on it slows down, so these times are not "
            "what it can do with better cooling."
        )


def _battery(result: dict[str, Any]) -> Iterator[str]:
    yield "The machine ran on its battery, on which many are set to go slower than on mains power."
