"""What a finished study found, and what it says first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edgefuse.embeddings.table import Table
from edgefuse.jobs import on_all_cores
from edgefuse.leaks import leak_sentences
from edgefuse.pages.sheets import change, share
from edgefuse.progress import Progress, silent
from edgefuse.study.choosing import chosen_anew
from edgefuse.study.config import Study, slug
from edgefuse.study.pooling import Pooled, pool
from edgefuse.study.raw import read_raw
from edgefuse.study.running import sweep_plan, work_of
from edgefuse.sweep.running import Sweep, read_sweep
from edgefuse_runtimes.errors import BadInput


@dataclass(frozen=True)
class Found:
    """All that a report tells."""

    study: Study
    tables: dict[str, Table]
    pooled: tuple[Pooled, ...]
    sweeps: dict[str, Sweep]
    raw: tuple[dict[str, Any], ...]

    @property
    def best(self) -> Pooled:
        """The fused head with the highest mean macro-F1 on validation rows, or, if not all record it, on test rows."""
        return max(self.pooled, key=self._score)

    @property
    def chosen_on_validation(self) -> bool:
        """Whether no test answer had a part in choosing the best one."""
        return all(one.validation for one in self.pooled)

    def _score(self, one: Pooled) -> float:
        return one.validation["fused"] if self.chosen_on_validation else one.spread("fused", "macro_f1")[0]


def gather(study: Study, output: Path, *, jobs: int, progress: Progress = silent) -> Found:
    """Read a finished study and judge it.

    Raises:
        BadInput: it is unfinished, damaged, or its inputs have changed.
    """
    works = {name: work_of(study, output, name) for name in study.names}
    sweeps = {}
    if study.sweep is not None:
        for name, work in works.items():
            sweep = read_sweep(sweep_plan(study, work), output / "sweeps" / slug(name))
            if sweep is None:
                raise BadInput(
                    f"The study is unfinished: heads of the sweep of {name} are missing; "
                    f"run 'edgefuse study run {study.path}' to go on."
                )
            sweeps[name] = sweep
    raw = tuple(read_raw(path, name) for name, path in study.raw.items())
    pairs = [(name, fusion) for name in study.names for fusion in study.training.fusion]
    judged = on_all_cores(partial(partial, pool, study, works), pairs, min(jobs, len(pairs)))
    pooled = {(one.name, one.fusion): one for one in progress("judging", judged, len(pairs))}
    tables = {name: work.table for name, work in works.items()}
    return Found(study, tables, tuple(pooled[pair] for pair in pairs), sweeps, raw)


def headline(found: Found) -> list[str]:
    """What the study says first, as sentences."""
    best = found.best
    mean, deviation = best.spread("fused", "macro_f1")
    several = len(found.pooled) > 1
    by = " by validation rows" if several and found.chosen_on_validation else ""
    sentences = [
        f"Best fused head{by}: {best.name}, {best.fusion} fusion, macro-F1 {share(mean, deviation)} "
        f"(text-only {share(best.spread('text_only', 'macro_f1')[0])}, "
        f"image-only {share(best.spread('image_only', 'macro_f1')[0])})."
    ]
    if several and found.chosen_on_validation:
        sentences.append(
            f"Of {len(found.pooled)} it has the highest mean macro-F1 on validation rows, "
            f"{share(best.validation['fused'])}; no test answer had a part in that choice."
        )
        anew = chosen_anew(found.pooled)
        if anew is not None:
            sentences.append(
                "Validation rows of one fold are test rows of others; chosen anew in each fold by its own, fused heads "
                f"reach {share(*anew)}."
            )
    elif several:
        sentences.append(
            f"It is the best of {len(found.pooled)} by these very answers, so its figures flatter a little: its heads "
            "were trained by an edgefuse that kept no figures of validation rows."
        )
    for method in ("image_only", "text_only"):
        difference = best.judged["differences"][method]["macro_f1"]
        low, high = difference["interval"] or (None, None)
        name = method.replace("_", "-")
        sentences.append(f"Fused minus {name}: {change(difference['value'], low, high)}, {_verdict(low, high)}.")
    return sentences


def leaks(found: Found) -> list[str]:
    """What makes its figures flatter, as sentences."""
    return list(
        dict.fromkeys(sentence for table in found.tables.values() for sentence in leak_sentences(table.dataset))
    )


def _verdict(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "of too few groups to tell"
    if low > 0:
        return "more than chance gives"
    return "less than nothing" if high < 0 else "which may be chance"
