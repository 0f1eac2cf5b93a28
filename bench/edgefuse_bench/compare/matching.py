"""Which configuration of one file is compared with which of another."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from edgefuse_bench.configuration import WORDS, Configuration, by_configuration
from edgefuse_bench.result import Result


@dataclass(frozen=True)
class Pair:
    """Runs of the baseline, and the runs they are compared with."""

    baseline: tuple[Result, ...]
    candidate: tuple[Result, ...]
    configurations: tuple[Configuration, Configuration]

    @property
    def sides(self) -> tuple[tuple[Result, ...], tuple[Result, ...]]:
        """Both, the baseline first."""
        return self.baseline, self.candidate

    @property
    def differs(self) -> tuple[str, ...]:
        """In which parts the two configurations differ, in words."""
        before, after = self.configurations
        parts = (name for name in Configuration._fields if getattr(before, name) != getattr(after, name))
        return tuple(
            WORDS[name]
            if name == "digest"
            else f"{WORDS[name]} ({getattr(before, name)} before, {getattr(after, name)} now)"
            for name in parts
        )


@dataclass(frozen=True)
class Matched:
    """All pairs, and what had no partner."""

    pairs: tuple[Pair, ...]
    only_baseline: tuple[Configuration, ...]
    only_candidate: tuple[Configuration, ...]


def match(baseline: Sequence[Result], candidate: Sequence[Result]) -> Matched:
    """Pair equal configurations, then those that differ in the kit alone; a last one of each side is a pair anyway.

    That last rule lets two files of one configuration each be compared whatever was changed between them. Runs of
    different scenarios measure different things and are never a pair.
    """
    before, after = by_configuration(baseline), by_configuration(candidate)
    pairs: list[Pair] = []

    def take(alike: Callable[[Configuration], Hashable]) -> None:
        for one in list(before):
            partners = [other for other in after if alike(other) == alike(one)]
            rivals = [other for other in before if alike(other) == alike(one)]
            if len(partners) == len(rivals) == 1:
                other = partners[0]
                pairs.append(Pair(tuple(before.pop(one)), tuple(after.pop(other)), (one, other)))

    take(lambda each: each)
    take(lambda each: each[:6])
    if len(before) == len(after) == 1:
        take(lambda each: each.scenario)
    return Matched(tuple(pairs), tuple(before), tuple(after))
