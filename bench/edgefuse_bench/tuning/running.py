"""`edgefuse tune` from the kit to the file beside it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import click

from edgefuse.card import machine_card
from edgefuse.kits.kit import Kit
from edgefuse.kits.tuned import MODALITIES, StageChoice, tuned_path, write_tuned
from edgefuse_bench.tuning.candidates import candidates
from edgefuse_bench.tuning.measuring import measure
from edgefuse_bench.tuning.search import LEAST_ROUNDS, SLOW, Configuration, Ran, Search, Times
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.spec import Modality


def tune(folder: Path, budget_s: float) -> dict[str, Any]:
    """Measure the kit in this folder for so long, write the choice beside it, and tell all that was found.

    Raises:
        BadInput: there is no such kit, or nothing can be written beside it.
        DoesNotFit: the kit does not fit the memory.
        EdgefuseError: a measuring process failed.
    """
    kit = Kit.open(folder)
    path = require_writable(folder)
    began = time.monotonic()
    found = candidates(kit)
    measure_one = measure(folder)

    def measure_and_tell(one: Configuration, queries: int, limit_s: float) -> Mapping[Modality, Ran]:
        click.echo(f"round {search.rounds + 1}: {_said(one)}", err=True)
        return measure_one(one, queries, limit_s)

    search = Search(found.configurations, measure_and_tell, budget_s)
    search.run()
    times = search.times()
    notes = []
    if search.rounds < LEAST_ROUNDS and len(found.configurations) > 1 and _is_open(times):
        notes.append(
            f"Only {search.rounds} of the {LEAST_ROUNDS} rounds that a change needs had room in the time, so what is "
            "usual is kept; give more --minutes."
        )
    if machine_card().get("emulated"):
        notes.append("This processor is emulated: its times, and so this choice, tell nothing about a real one.")
    more = {
        "usual": {modality: asdict(one.usual) for modality, one in times.items()},
        "seconds": round(time.monotonic() - began, 1),
        "budget_seconds": budget_s,
        "rounds": search.rounds,
        "runs": search.runs,
        "measured": {modality: [_row(one, choice) for choice in one.rounds] for modality, one in times.items()},
        "left_out": [*found.left_out, *(_too_slow(one) for one in search.too_slow)],
        "notes": notes,
    }
    choice = {modality: times[modality].best for modality in MODALITIES}
    write_tuned(kit, choice, **more)
    return {
        "kit": {"name": kit.name, "version": kit.version, "digest": kit.digest},
        "file": str(path),
        "choice": {modality: asdict(one) for modality, one in choice.items()},
        **more,
    }


def require_writable(folder: Path) -> Path:
    """The file beside the kit, asked for before minutes of measuring.

    Raises:
        BadInput: it cannot be written.
    """
    path = tuned_path(folder)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise BadInput(
            f"tune writes {path}, and {path.parent} cannot be written; run it as the user who installed the kit, or on "
            "a copy of the kit in a folder of yours."
        )
    return path


def _said(one: Configuration) -> str:
    files = "the main files" if one.precision is None else f"files in {one.precision}"
    return f"engine {one.engine}, {one.threads} thread{'' if one.threads == 1 else 's'}, {files}"


def _too_slow(one: Configuration) -> str:
    return f"{_said(one)}: stopped, since it took {SLOW} times as long as what is usual."


def _is_open(times: dict[Any, Times]) -> bool:
    """Whether another way than the usual one looked faster."""
    return any(median(one.ratios(choice) or [1.0]) < 1 for one in times.values() for choice in one.rounds)


def _row(times: Times, choice: StageChoice) -> dict[str, Any]:
    """One way to run an encoder."""
    ratios = times.ratios(choice)
    return {
        **asdict(choice),
        "usual": choice == times.usual,
        "chosen": choice == times.best,
        "median_ns": round(times.median(choice)),
        "rounds_ns": [round(value) for value in times.rounds[choice].values()],
        "ratio": round(median(ratios), 4) if ratios else None,
        "wins": sum(ratio < 1 for ratio in ratios),
        "compared": len(ratios),
    }
