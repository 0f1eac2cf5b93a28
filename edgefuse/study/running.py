"""Running a study: tables that are missing are extracted, cells that are missing are computed on all cores."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import product
from pathlib import Path

from edgefuse.datasets.choice import COLUMN_KEYS
from edgefuse.datasets.template import read_template
from edgefuse.embeddings.table import open_table, table_digest
from edgefuse.extraction.running import extract
from edgefuse.jobs import on_all_cores
from edgefuse.kits.encoders import Encoders
from edgefuse.progress import Progress, silent
from edgefuse.study.cells import Cell, Work, compute, divided, read_cell
from edgefuse.study.config import Study, slug
from edgefuse.sweep.running import Plan, check_plan, even_shifts, run_sweep
from edgefuse.training.recipe import check_rows
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import read_json, sha256, write_json

DATA = "data.json"
"""What the tables of an output were extracted from."""


def table_folder(study: Study, output: Path, name: str) -> Path:
    """Where the embedding table of these encoders is, or will be."""
    return study.tables[name] if name in study.tables else output / "tables" / slug(name)


def work_of(study: Study, output: Path, name: str) -> Work:
    """What all cells of one pair of encoders have in common.

    Raises:
        BadInput: its table is missing, unfinished or damaged, or no head can be trained on it.
    """
    table = open_table(table_folder(study, output, name))
    check_rows(table)
    return Work(table, output / "cells" / slug(name), study.training, table_digest(table))


def cells_of(study: Study) -> list[Cell]:
    """All cells of each pair of encoders."""
    training = study.training
    return [
        Cell(fusion, seed, fold)
        for seed, fold, fusion in product(range(training.seeds), range(training.folds), training.fusion)
    ]


def run(study: Study, output: Path, *, jobs: int, progress: Progress = silent) -> None:
    """Do all that is missing; an interrupted study goes on with the cell that was not finished.

    Raises:
        BadInput: a table or encoder is unusable, or `output` holds a study of other inputs.
        DoesNotFit: a worker process ended.
    """
    made: list[Path] = []
    if study.encoders:
        _keep_to_data(study, output)
    for name, folder in study.encoders.items():
        table = table_folder(study, output, name)
        _extract(study, Encoders.open(folder), table, made, progress)
        made.append(table)
    works = {name: work_of(study, output, name) for name in study.names}
    if study.sweep is not None:
        for work in works.values():
            check_plan(sweep_plan(study, work))
    drawn = list(product(works.values(), range(study.training.seeds)))
    for work, seed in progress("dividing into folds", drawn, len(drawn)):  # all of them, before any head is trained
        divided(work.table, study.training.folds, seed)
    for name, work in works.items():
        missing = _missing(work, cells_of(study))
        if missing:
            work.folder.mkdir(parents=True, exist_ok=True)
            done = on_all_cores(partial(partial, compute, work), missing, min(jobs, len(missing)))
            for _ in progress(f"heads: {name}", done, len(missing)):
                pass
    if study.sweep is not None:
        for name, work in works.items():
            run_sweep(sweep_plan(study, work), output / "sweeps" / slug(name), jobs=jobs, progress=progress)


def sweep_plan(study: Study, work: Work) -> Plan:
    """The sweep over one table, with the study's settings."""
    assert study.sweep is not None
    shifts = even_shifts(study.sweep.shifts)
    training = study.training
    return Plan(
        work.table,
        shifts,
        study.sweep.seeds,
        training.fusion,
        training.match,
        training.settings,
        training.text_components,
    )


def _keep_to_data(study: Study, output: Path) -> None:
    """Refuse tables that were extracted from other data than the study's file says now; folders may have moved."""
    data = study.data
    assert data is not None  # the study's file was checked
    source = Path(data.dataset)
    facts = {
        "dataset": source.name,
        "content": sha256(source) if source.suffix.lower() == ".csv" and source.is_file() else None,
        "template": None if data.template is None else read_template(data.template).text,
        "allow_leaks": sorted(data.allow_leaks),
        "skip_missing": data.skip_missing,
        # what came later is None where it says nothing, as in a file of an older edgefuse
        **{name: getattr(data, name) for name in COLUMN_KEYS},
        "subgroups": list(data.subgroups) or None,
        "limit": data.limit,
        "multilabel": data.multilabel or None,
        "views": study.views,
    }
    path = output / DATA
    if not path.is_file():
        write_json(path, facts)
        return
    known = read_json(path, "remove it")
    changed = [name for name, value in facts.items() if known.get(name) != value]
    if changed:
        raise BadInput(
            f"The tables in {output} were extracted from other data ({', '.join(changed)} under [data] differ); "
            "choose another --output, or remove that folder to extract them anew."
        )


def _extract(study: Study, encoders: Encoders, folder: Path, made: Sequence[Path], progress: Progress) -> None:
    """Extract the table `folder`, unless it is finished; what those `made` share with it is taken over."""
    assert study.data is not None  # the study's file was checked
    with suppress(BadInput):
        if open_table(folder).encoders == encoders.identity:
            return  # finished; what is not, goes on below or is refused there
    dataset = study.data.open()
    identity = encoders.identity
    alike = [each for each in made if any(identity[key] == of for key, of in open_table(each).encoders.items())]
    reuse = alike[0] if alike else None
    extract(
        dataset,
        encoders,
        folder,
        skip_missing=study.data.skip_missing,
        reuse=reuse,
        views=study.views,
        progress=progress,
    )


def _missing(work: Work, cells: Sequence[Cell]) -> list[Cell]:
    """Cells without a file; the files that are there must be of this study."""
    facts = work.facts()
    missing = []
    for cell in cells:
        if (work.folder / cell.file).is_file():
            read_cell(work.folder / cell.file, facts, cell)
        else:
            missing.append(cell)
    return missing
