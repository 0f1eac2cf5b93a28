"""Answers to store, without any encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgefuse.answering.prediction import Prediction
from edgefuse.results.log import ResultsLog


@pytest.fixture
def prediction() -> Callable[..., Prediction]:
    """An answer as `classify` gives it, but for what is named."""

    def make(**changed: Any) -> Prediction:
        found: dict[str, Any] = {
            "image": "ward/Jane Doe.jpg",
            "label": "nv",
            "labels": ["nv"],
            "referred": False,
            "reason": None,
            "probabilities": {"mel": 0.25, "nv": 0.75},
            "kit": {"name": "ham", "version": "2", "digest": "ab" * 32},
            "missing": [],
            "engines": {"image": "numpy", "text": "llama.cpp"},
            "precisions": {"image": "int8", "text": "q8_0"},
            "cached": ["text"],
            "timings_ms": {"load": 1.5, "image": 2.5, "text": 3.5, "head": 0.5, "total": 8.0},
            "memory": {"peak_rss_bytes": 2**28, "anon_bytes": 2**27, "file_bytes": 2**26},
            "notes": [],
        }
        return Prediction(**found | changed)

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the log of a test lies."""
    return tmp_path / "results"


@pytest.fixture
def log(folder: Path) -> Iterator[ResultsLog]:
    """An empty log."""
    with ResultsLog.open(folder) as opened:
        yield opened
