"""How a configuration is measured, with what suits each scenario."""

from __future__ import annotations

from dataclasses import dataclass, replace

QUERIES = {"single": 64, "offline": 32, "cold": 8}
"""How many are measured if nothing else is asked for: with 64 there is a p90."""
REPEATS = {"single": 5, "offline": 5}
"""Processes of a run; Sustained has one, Cold one for each query."""
SECONDS = 600.0
"""Of Sustained: a small case without a fan needs minutes to get hot."""


@dataclass(frozen=True)
class Settings:
    """How to measure; None stands for what suits the scenario."""

    scenario: str = "single"
    """One of the keys of `SCENARIOS`."""
    engine: str = "auto"
    precision: str | None = None
    threads: int | None = None
    queries: int | None = None
    """Measured ones: SingleStream in all processes together, Offline in each, Cold one in each."""
    seconds: float | None = None
    """Of Sustained."""
    warmup: int = 2
    """Queries of each process that are kept apart, after its first one."""
    repeats: int | None = None
    """Processes, one after another: how much they differ is a part of every interval."""

    def complete(self, samples: int) -> Settings:
        """With what suits the scenario, and so many samples, for all that was left open."""
        if self.scenario == "sustained":
            return replace(self, queries=None, seconds=self.seconds or SECONDS, repeats=1)
        if self.scenario == "cold":
            return replace(self, queries=self.queries or QUERIES["cold"], seconds=None, warmup=0, repeats=1)
        queries = self.queries or max(QUERIES[self.scenario], samples)
        return replace(self, queries=queries, seconds=None, repeats=self.repeats or REPEATS[self.scenario])
