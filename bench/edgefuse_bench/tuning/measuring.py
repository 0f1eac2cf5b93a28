"""One configuration measured by the harness, as `bench run` does, and read stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgefuse.kits.tuned import MODALITIES, StageChoice
from edgefuse.percentiles import percentile
from edgefuse_bench.harness import run
from edgefuse_bench.settings import Settings
from edgefuse_bench.tuning.search import Configuration, Measure, Ran
from edgefuse_runtimes.spec import Modality

WARMUP = 1
"""Queries after loading that are not counted."""


def measure(kit: Path) -> Measure:
    """What runs a configuration of this kit in a fresh process."""

    def run_one(one: Configuration, queries: int) -> Mapping[Modality, Ran]:
        # Threads are named always, so that an earlier choice does not count.
        settings = Settings(
            engine=one.engine, threads=one.threads, precision=one.precision, queries=queries, warmup=WARMUP, repeats=1
        )
        result = run(kit, settings)
        return {
            modality: Ran(
                StageChoice(str(result.engines[modality]), one.threads, str(result.precisions[modality])),
                percentile([query.stages_ns[modality] for query in result.queries], 0.5),
            )
            for modality in MODALITIES
        }

    return run_one
