"""Whether two results come from one machine, and what was changed on it in between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Card = Mapping[str, Any]

IDENTITY = ("board", "cpu", "architecture", "physical_cores", "logical_cores", "cgroup_cores")
"""Where these or the memory differ, two cards are of two machines, or of one that was limited otherwise."""
SOFTWARE = ("system", "kernel", "libc", "python")


def same_machine(one: Card, other: Card) -> bool:
    """Whether two cards may be of the same machine, or of two that are alike."""
    return (
        all(one.get(name) == other.get(name) for name in IDENTITY)
        and _memory(one) == _memory(other)
        and bool(one.get("emulated")) == bool(other.get("emulated"))
    )


def in_words(card: Card) -> str:
    """A machine in one line: "Raspberry Pi 4 Model B, Cortex-A72, 4 cores, 3.7 GiB"."""
    cores = card.get("physical_cores")
    ram, limit = _memory(card)
    parts = [
        card.get("board"),
        card.get("cpu"),
        cores and f"{cores} core" + ("" if cores == 1 else "s"),
        ram and f"{ram:.1f} GiB" + (f" (limited to {limit:.2f} GiB)" if limit else ""),
    ]
    return ", ".join(str(part) for part in parts if part)


def changes(before: Card, after: Card) -> Iterator[str]:
    """What differs in software and settings: "numpy 2.1.0 -> 2.2.0"."""
    for name in SOFTWARE:
        yield from _change(name, before.get(name), after.get(name))
    for part in ("libraries", "settings"):
        ours, theirs = before.get(part) or {}, after.get(part) or {}
        for name in dict.fromkeys([*ours, *theirs]):
            yield from _change(name, ours.get(name), theirs.get(name))


def _change(name: str, before: Any, after: Any) -> Iterator[str]:
    if before != after:
        yield f"{name} {'none' if before is None else before} -> {'none' if after is None else after}"


def _memory(card: Card) -> tuple[float | None, float | None]:
    """RAM and its limit in GiB, coarse enough for a kernel that keeps a little more for itself."""
    ram, limit = card.get("ram_bytes"), card.get("cgroup_limit_bytes")
    return ram and round(ram / 2**30, 1), limit and round(limit / 2**30, 2)
