"""Heads of one kind from several seeds: how they did, how far they differ, and which one is kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import mean, stdev

from edgefuse.training.trainer import Trained


@dataclass(frozen=True)
class Runs:
    """The same head from every seed, trained on the same rows."""

    seeds: tuple[int, ...]
    trained: tuple[Trained, ...]

    @property
    def score(self) -> tuple[float, float]:
        """By which one set of runs is better than another: mean macro-F1 on validation rows, then the lower loss."""
        return mean(one.figures.macro_f1 for one in self.trained), -mean(one.loss for one in self.trained)

    @property
    def best(self) -> int:
        """Number of the run that is kept: the best on validation rows, of equals the first."""
        return max(range(len(self.trained)), key=lambda number: self._one(number))

    @property
    def kept(self) -> Trained:
        """The head of that run."""
        return self.trained[self.best]

    @property
    def seed(self) -> int:
        """The seed of that run."""
        return self.seeds[self.best]

    def spread(self) -> dict[str, dict[str, float]]:
        """Of every figure its mean over the seeds and its standard deviation (n - 1), 0 of a single seed."""
        figures = [asdict(one.figures) for one in self.trained]
        return {
            name: {
                "mean": mean(found[name] for found in figures),
                "sd": stdev(found[name] for found in figures) if len(figures) > 1 else 0.0,
            }
            for name in figures[0]
        }

    def _one(self, number: int) -> tuple[float, float]:
        return self.trained[number].figures.macro_f1, -self.trained[number].loss
