"""What the cells of one pair of encoders and one kind of fusion say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np

from edgefuse.evaluation.judging import judge
from edgefuse.evaluation.predictions import METHODS, Predictions, join
from edgefuse.evaluation.scores import figure_values
from edgefuse.heads import Fusion
from edgefuse.metrics.bootstrap import draw
from edgefuse.metrics.classification import Doubles
from edgefuse.study.cells import Done, Work, read_cell
from edgefuse.study.config import Study
from edgefuse.study.running import cells_of
from edgefuse_runtimes.errors import BadInput


@dataclass(frozen=True)
class Pooled:
    """Every sample is answered once for each seed, by a head that saw no sample of its group."""

    name: str
    """Of the encoders."""
    fusion: Fusion
    predictions: Predictions
    """Of all seeds and folds."""
    judged: dict[str, Any]
    """`judging.judge` of them."""
    by_seed: dict[str, dict[str, Doubles]]
    """Method -> figure -> (S,): over the folds of each seed"""
    cells: tuple[Done, ...]
    """By seed, then by fold."""
    validation: dict[str, float]
    """Method -> mean macro-F1 of all cells' heads on their validation rows; empty where not all cells record it."""

    @property
    def training(self) -> list[dict[str, Any]]:
        """`Head.training` of every cell."""
        return [each.training for each in self.cells]

    @property
    def title(self) -> str:
        """Of a table or figure about it alone."""
        return f"{self.name}, {self.fusion} fusion"

    def spread(self, method: str, figure: str) -> tuple[float, float | None]:
        """Mean and sample standard deviation over the seeds; None with one."""
        values = self.by_seed[method][figure]  # (S,)
        return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None


def pool(study: Study, works: Mapping[str, Work], pair: tuple[str, Fusion]) -> Pooled:
    """Read and judge the cells of one pair of encoders, by its name, and one kind of fusion.

    Raises:
        BadInput: a cell is missing, damaged or of other inputs.
    """
    name, fusion = pair
    work = works[name]
    cells = [cell for cell in cells_of(study) if cell.fusion == fusion]
    missing = [cell.file for cell in cells if not (work.folder / cell.file).is_file()]
    if missing:
        raise BadInput(
            f"The study is unfinished: {len(missing)} of {len(cells)} heads of {name}, {fusion} fusion, are missing; "
            f"run 'edgefuse study run {study.path}' to go on."
        )
    facts = work.facts()
    done = [read_cell(work.folder / cell.file, facts, cell) for cell in cells]
    seeds = [
        join([each.predictions for each in done if each.cell.seed == seed]) for seed in range(study.training.seeds)
    ]
    together = join(seeds)
    return Pooled(
        name=name,
        fusion=fusion,
        predictions=together,
        judged=judge(together),
        by_seed={method: _figures(seeds, method) for method in METHODS},
        cells=tuple(done),
        validation=_validation(done),
    )


def _validation(done: Sequence[Done]) -> dict[str, float]:
    if not all(each.validation for each in done):
        return {}
    return {method: mean(each.validation[method]["macro_f1"] for each in done) for method in METHODS}


def _figures(seeds: Sequence[Predictions], method: str) -> dict[str, Doubles]:
    found = [figure_values(each, method, draw(each.groups, 0, 0)) for each in seeds]
    single = [name for name, values in found[0].items() if values.ndim == 1]
    return {name: np.array([values[name][0] for values in found]) for name in single}
