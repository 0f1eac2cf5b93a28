"""A whole sweep: what is missing is computed on all cores, and what is finished judged."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from edgefuse.embeddings.table import Table, table_digest
from edgefuse.heads import Fusion
from edgefuse.jobs import on_all_cores
from edgefuse.progress import Progress, silent
from edgefuse.sweep.cells import Cell, Result, aligned, matching_of, run
from edgefuse.sweep.choice import Swept, judge
from edgefuse.sweep.log import CellsFile
from edgefuse.training import align
from edgefuse.training.recipe import check_settings
from edgefuse.training.trainer import Settings
from edgefuse_runtimes.errors import BadInput

FILE = "cells.jsonl"


@dataclass(frozen=True)
class Plan:
    """What is swept."""

    table: Table
    shifts: tuple[float, ...]
    seeds: int
    fusions: tuple[Fusion, ...]
    match: align.Method
    settings: Settings
    text_components: int | None = None

    @property
    def cells(self) -> list[Cell]:
        """All of them; those of one shift follow one another, as a process keeps the rows of the last one."""
        return [
            Cell(fusion, shift, seed) for shift, seed, fusion in product(self.shifts, range(self.seeds), self.fusions)
        ]

    def inputs(self) -> dict[str, Any]:
        """What decides a cell beside the cell itself, as plain JSON types."""
        facts: dict[str, Any] = {
            "table_sha256": table_digest(self.table),
            "match": self.match,
            "settings": asdict(self.settings),
        }
        facts |= {} if self.text_components is None else {"text_components": self.text_components}
        return dict(json.loads(json.dumps(facts)))


@dataclass(frozen=True)
class Sweep:
    """A finished sweep."""

    inputs: dict[str, Any]
    validation_rows: int
    results: tuple[Result, ...]
    swept: list[Swept]


def even_shifts(count: int) -> tuple[float, ...]:
    """So many shifts from -1 to 1, evenly spaced."""
    return tuple((np.round(np.linspace(-1, 1, count), 6) + 0.0).tolist())  # + 0.0: -0 is 0


def check_plan(plan: Plan) -> None:
    """Accept a sweep that can be run.

    Raises:
        BadInput: the settings do not fit a kind of fusion, or unequal widths, which are not matched, should be shifted.
    """
    table = plan.table
    for fusion in plan.fusions:
        check_settings(plan.settings, fusion, plan.text_components)
    if any(plan.shifts) and plan.match == "none" and table.text.shape[1] != table.image.shape[1]:
        raise BadInput(
            f"The text and image vectors of {table.folder} have unequal widths, and nothing can be shifted between "
            "those; take another --match than none, or --shifts 0."
        )


def run_sweep(plan: Plan, folder: Path, *, jobs: int, progress: Progress = silent) -> Sweep:
    """Compute the cells that are missing in `folder`, and judge all.

    Raises:
        BadInput: the folder holds a sweep of other inputs, the settings do not fit a kind of fusion, or unequal widths,
            which are not matched, should be shifted.
        DoesNotFit: a process at work ended.
    """
    table = plan.table
    check_plan(plan)
    inputs = plan.inputs()
    with CellsFile(folder / FILE, inputs) as log:
        todo = [cell for cell in plan.cells if cell not in log.results]
        if todo:
            make = partial(runner, table, matching_of(table, plan.match, plan.text_components), plan.settings)
            for result in progress("heads", on_all_cores(make, todo, min(jobs, len(todo))), len(todo)):
                log.append(result)
        return _finished(plan, inputs, log)


def read_sweep(plan: Plan, folder: Path) -> Sweep | None:
    """The sweep that is finished in `folder`; None where a cell is missing.

    Raises:
        BadInput: the folder holds a sweep of other inputs, or it goes on at this moment.
    """
    if not (folder / FILE).is_file():
        return None
    inputs = plan.inputs()
    with CellsFile(folder / FILE, inputs) as log:
        return _finished(plan, inputs, log) if log.results.keys() >= set(plan.cells) else None


def _finished(plan: Plan, inputs: dict[str, Any], log: CellsFile) -> Sweep:
    results = tuple(log.results[cell] for cell in plan.cells)
    return Sweep(inputs, int(np.sum(plan.table.splits == "validation")), results, judge(results))


def runner(table: Table, matching: align.Matching, settings: Settings) -> Callable[[Cell], Result]:
    """Trains and judges one cell after another; the aligned rows of the last shift are kept."""
    rows = lru_cache(maxsize=1)(partial(aligned, table, matching))
    return lambda cell: run(table, rows(cell.shift), cell, settings)
