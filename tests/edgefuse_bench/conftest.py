"""What the tests of the bench share: results that no machine measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgefuse_bench.result import Query, Result

STAGES = {"decode": 0.05, "image": 0.4, "tokenise": 0.01, "text": 0.53, "head": 0.01}
"""Share of an answer's time."""

CARD = {
    "board": None,
    "cpu": "Synthetic CPU",
    "architecture": "x86_64",
    "physical_cores": 2,
    "logical_cores": 2,
    "ram_bytes": 8 << 30,
    "cgroup_limit_bytes": None,
    "system": "Synthetic OS 1",
    "kernel": "6.1",
    "libc": "glibc 2.36",
    "page_bytes": 4096,
    "python": "3.11.7",
    "libraries": {"edgefuse": "0.1.0", "numpy": "2.0.0"},
    "settings": {},
}


def made_result(
    *,
    scenario: str = "SingleStream",
    median_ms: float = 100,
    queries: int = 64,
    processes: int = 1,
    threads: int | None = 2,
    engine: str = "onnxruntime",
    precision: str = "int8",
    digest: str = "a" * 64,
    peak_mib: float = 300,
    noise: float = 0.02,
    seed: int = 0,
    machine: dict[str, Any] | None = None,
    **more: Any,
) -> Result:
    """A whole result, drawn by chance around a median."""
    rng = np.random.default_rng(seed)
    totals = (median_ms * 1e6 * np.exp(rng.normal(0, noise, queries + 3))).astype(int).tolist()
    asked, clock = [], 2 * 10**9
    for number, total in enumerate(totals):
        stages = {name: int(share * total * 0.99) for name, share in STAGES.items()}
        process = max(0, number - 3) * processes // queries
        asked.append(Query(number % 8, total, stages, start_ns=clock, process=process))
        clock += total
    load = {"load": 10**9, **asked[0].stages_ns}
    peak = int(peak_mib * 2**20)
    times = np.linspace(0, clock, 40).astype(int).tolist()
    rss = (peak * np.minimum(1, np.linspace(0.2, 1.4, 40))).astype(int).tolist()
    made = Result(
        scenario=scenario,
        started="2026-01-01T00:00:00+00:00",
        edgefuse="0.1.0",
        kit={"name": "synthetic", "version": "1", "digest": digest},
        settings={"engine": "auto", "precision": None, "threads": threads, "queries": queries, "warmup": 2},
        engines={"image": engine, "text": engine},
        precisions={"image": precision, "text": precision},
        samples={"source": "golden", "drawn": True, "count": 8},
        open_ns=30_000_000,
        first=replace(asked[0], total_ns=asked[0].total_ns + 10**9, stages_ns=load),
        warmup=tuple(asked[1:3]),
        queries=tuple(asked[3:]),
        memory={
            "peak_rss_bytes": peak,
            "vm_hwm_bytes": peak,
            "anon_bytes": peak // 2,
            "file_bytes": peak // 3,
            "pss_bytes": peak // 2,
            "timeline": [
                {"t_ns": t, "rss_bytes": size, "anon_bytes": size // 2, "file_bytes": size // 2}
                for t, size in zip(times, rss, strict=True)
            ],
        },
        files={"image.onnx": 24_000_000, "text.gguf": 140_000_000},
        machine=CARD | (machine or {}),
    )
    return replace(made, **more)


@pytest.fixture(scope="session")
def make_result() -> Callable[..., Result]:
    """`made_result`, which draws a result around the median it is given."""
    return made_result
