"""Cells on several processes: what they give, and what happens when they are ended."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from edgefuse.embeddings.table import Table
from edgefuse.jobs import on_all_cores
from edgefuse.sweep.cells import Cell, Result, matching_of
from edgefuse.sweep.running import runner
from edgefuse.training import align
from edgefuse.training.recipe import train_head
from edgefuse.training.trainer import Settings
from edgefuse_runtimes.errors import DoesNotFit

SETTINGS = Settings(epochs=2)


def computed(
    table: Table, cells: Sequence[Cell], jobs: int, match: align.Method = "pca"
) -> Generator[Result, None, None]:
    yield from on_all_cores(partial(runner, table, matching_of(table, match), SETTINGS), cells, jobs)


@pytest.mark.parametrize("views", [0, 2])
def test_a_cell_is_the_head_that_train_makes(make_table: Callable[..., Table], views: int) -> None:
    table = make_table(views=views)
    cells = [Cell(fusion, shift, 3) for shift in (-0.5, 1.0) for fusion in ("early", "late")]
    found = {r.cell: r for r in computed(table, cells, 2, "project")}
    assert found.keys() == set(cells)
    for cell, result in found.items():
        head = train_head(table, fusion=cell.fusion, seed=3, settings=SETTINGS, shifts=(cell.shift,), match="project")
        assert result.macro_f1 == pytest.approx(head.validation["fused"]["macro_f1"])
        assert result.accuracy == pytest.approx(head.validation["fused"]["accuracy"])
        assert result.epoch == head.training["epochs_kept"]["fused"]


def test_test_rows_are_never_read(make_table: Callable[..., Table]) -> None:
    table = make_table()
    spoilt = replace(table, text=np.array(table.text[:]), image=np.array(table.image[:]), labels=table.labels.copy())
    test = table.splits == "test"
    spoilt.text[test], spoilt.image[test], spoilt.labels[test] = 1e6, -1e6, 0
    cells = [Cell("early", 0.5, 0)]
    one, other = (next(computed(each, cells, 1)) for each in (table, spoilt))
    assert replace(one, seconds=0) == replace(other, seconds=0)


def test_leaving_early_ends_the_workers(make_table: Callable[..., Table]) -> None:
    table = make_table()
    cells = [Cell("early", 0.0, seed) for seed in range(400)]
    known = set(multiprocessing.active_children())
    found = computed(table, cells, 2)
    next(found)
    workers = set(multiprocessing.active_children()) - known
    assert workers
    found.close()
    for worker in workers:
        worker.join(60)
        assert not worker.is_alive()


def test_a_worker_that_is_killed_is_told_of(make_table: Callable[..., Table]) -> None:
    table = make_table()
    known = set(multiprocessing.active_children())
    found = computed(table, [Cell("early", 0.0, seed) for seed in range(400)], 1)
    next(found)
    (worker,) = set(multiprocessing.active_children()) - known
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(DoesNotFit, match="run the same command again to go on, with fewer --jobs"):
        for _ in found:
            pass
