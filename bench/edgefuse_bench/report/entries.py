"""What a report compares: each configuration on each machine, with all its repeats, under a short name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from edgefuse_bench.compare.machines import same_machine
from edgefuse_bench.configuration import Configuration, configuration
from edgefuse_bench.result import SCENARIOS, Query, Result

Card = Mapping[str, Any]

PARTS = ("machine", "scenario", "kit", "engines", "precisions", "threads")
"""Of a label."""


@dataclass(frozen=True)
class Entry:
    """One configuration on one machine."""

    label: str
    """Says in what it differs from the others."""
    machine: str
    """The machine's name on the page."""
    configuration: Configuration
    results: tuple[Result, ...]
    """Repeats of each other."""

    @property
    def emulated(self) -> bool:
        """Whether its times mean nothing."""
        return any(result.emulated for result in self.results)

    @property
    def queries(self) -> list[Query]:
        """Of all repeats."""
        return [query for result in self.results for query in result.queries]

    @property
    def totals_ns(self) -> list[int]:
        """Of each query."""
        return [query.total_ns for query in self.queries]


@dataclass(frozen=True)
class Found:
    """All that a report is made of."""

    machines: dict[str, Card]
    """By name: the card of each machine's first result."""
    entries: tuple[Entry, ...]

    @property
    def timed(self) -> list[Entry]:
        """Those whose times count."""
        return [entry for entry in self.entries if not entry.emulated]

    @property
    def notes(self) -> list[str]:
        """Each sentence that a result holds, once; with the labels it is about, unless it is about all."""
        about: dict[str, list[str]] = {}
        for entry in self.entries:
            for note in dict.fromkeys(note for result in entry.results for note in result.notes):
                about.setdefault(note, []).append(entry.label)
        return [
            note if len(labels) == len(self.entries) else f"{'; '.join(labels)}: {note}"
            for note, labels in about.items()
        ]


def gather(results: Sequence[Result]) -> Found:
    """Group results by machine and configuration; machines in their order, scenarios in that of `bench run`."""
    machines = _machines(results)
    order = list(SCENARIOS.values())
    grouped: dict[tuple[str, Configuration], list[Result]] = {}
    for result in results:
        name = next(name for name, card in machines.items() if same_machine(card, result.machine))
        grouped.setdefault((name, configuration(result)), []).append(result)
    keys = sorted(grouped, key=lambda key: (order.index(key[1].scenario), list(machines).index(key[0])))
    labels = _labels(keys)
    entries = [Entry(labels[key], *key, results=tuple(grouped[key])) for key in keys]
    return Found(machines, tuple(entries))


def short_name(card: Card) -> str:
    """What a machine is called: its board, or else its processor."""
    name = str(card.get("board") or card.get("cpu") or "a machine")
    return f"{name} (emulated)" if card.get("emulated") else name


def _machines(results: Iterable[Result]) -> dict[str, Card]:
    """Each machine once; two of a name are numbered."""
    cards: list[Card] = []
    for result in results:
        if not any(same_machine(card, result.machine) for card in cards):
            cards.append(result.machine)
    names = [short_name(card) for card in cards]
    machines: dict[str, Card] = {}
    for name, card in zip(names, cards, strict=True):
        numbered = (f"{name} ({k})" for k in count(1))
        free = (each for each in numbered if each not in machines and each not in names)
        machines[next(free) if names.count(name) > 1 else name] = card
    return machines


def _labels(keys: Sequence[tuple[str, Configuration]]) -> dict[tuple[str, Configuration], str]:
    """Of each entry what differs among them: "Raspberry Pi 4, 1 thread"."""
    digests: dict[str, set[str]] = {}
    for _, chosen in keys:
        digests.setdefault(chosen.kit, set()).add(chosen.digest)
    kits = {
        chosen: f"{chosen.kit} ({chosen.digest[:8]})" if len(digests[chosen.kit]) > 1 else chosen.kit
        for _, chosen in keys
    }
    parts = {(machine, chosen): _parts(machine, chosen, kits[chosen]) for machine, chosen in keys}
    every = set(parts.values())
    told = [k for k in range(len(PARTS)) if len({found[k] for found in every}) > 1 and not _follows(every, k)]
    return {key: ", ".join(found[k] for k in told) or found[1] for key, found in parts.items()}


def _follows(every: set[tuple[str, ...]], k: int) -> bool:
    """Whether engines or precisions are those of the kit, so that its name tells them."""
    kit = PARTS.index("kit")
    return PARTS[k] in ("engines", "precisions") and len({(found[kit], found[k]) for found in every}) == len(
        {found[kit] for found in every}
    )


def threads_words(chosen: Configuration) -> str:
    """ "1 thread", "4 threads"."""
    return f"{chosen.threads} thread" + ("" if chosen.threads == 1 else "s")


def _parts(machine: str, chosen: Configuration, kit: str) -> tuple[str, ...]:
    engines = dict.fromkeys((chosen.image_engine, chosen.text_engine))
    precisions = dict.fromkeys((chosen.image_precision, chosen.text_precision))
    return machine, chosen.scenario, kit, " + ".join(engines), " + ".join(precisions), threads_words(chosen)
