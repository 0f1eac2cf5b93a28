"""What is known of accuracy on both sides: faster says little where answers became worse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from edgefuse.evaluation.page import short
from edgefuse_bench.result import Result

NONE = "-"


def accuracy_rows(baseline: Result, candidate: Result) -> Iterator[tuple[str, str, str]]:
    """The name of each figure that a side has, and its words on both sides."""
    figures: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
        "golden labels": ("golden", _kept),
        "accuracy here": ("samples", _accuracy),
        "kit's accuracy": ("kit", _accuracy),
    }
    for name, (part, words) in figures.items():
        found = [result.accuracy.get(part) for result in (baseline, candidate)]
        if any(found):
            before, after = (NONE if not each else words(each) for each in found)
            yield name, before, after


def _kept(golden: dict[str, Any]) -> str:
    if "labels_changed" not in golden:
        return NONE
    return f"{golden['n'] - golden['labels_changed']} of {golden['n']} kept"


def _accuracy(part: dict[str, Any]) -> str:
    if part.get("drawn"):
        return "drawn"  # no figure of the drawn example is an accuracy
    return f"{short(part.get('accuracy'))} of {part.get('n')}"
