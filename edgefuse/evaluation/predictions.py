"""What a head and its baselines say of the rows of one part, in a form that can be pooled over folds and seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.embeddings.table import Strings, Table
from edgefuse.heads import Head
from edgefuse.metrics.classification import Doubles, Labels, frequencies
from edgefuse_runtimes import fusion
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.fusion import Task

METHODS = ("majority", "text_only", "image_only", "fused")
"""What is judged, in the order of every table."""


@dataclass(frozen=True)
class Predictions:
    """Probabilities of every method for n rows; row k of every member is the same sample."""

    ids: Strings
    """(n,); pooled over seeds, an id stands in several rows"""
    labels: Labels
    """(n,) class numbers; multilabel: (n, K), 1 where a class holds"""
    groups: Strings
    """(n,)"""
    subgroups: dict[str, Strings]
    """(n,) by name"""
    classes: tuple[str, ...]
    task: Task
    probabilities: dict[str, Doubles]
    """(n, K) of each of METHODS, after its temperature; of the majority, the shares of the training rows"""
    unscaled: dict[str, Doubles]
    """(n, K) of each of METHODS at temperature 1"""
    thresholds: dict[str, Doubles]
    """(n,) of each head: the probability of the likeliest class below which it refers; NaN where it has no rule, and
    above 1 where it refers always"""

    @property
    def multilabel(self) -> bool:
        """Whether any number of classes may hold for a row."""
        return self.task == "multilabel"


def predict(head: Head, table: Table, part: str) -> Predictions:
    """What the head, its baselines and the majority class say of the table's rows of `part`, "test" or "validation".

    Raises:
        BadInput: the table has no such rows.
    """
    rows = np.flatnonzero(table.splits == part)
    if not len(rows):
        raise BadInput(f"{table.folder} has no {part} rows; extract it with more samples.")
    shares = frequencies(table.labels[table.splits == "train"], len(table.classes))  # (K,)
    majority = np.tile(shares, (len(rows), 1))  # (n, K)
    probabilities, unscaled = {"majority": majority}, {"majority": majority}
    for method in METHODS[1:]:
        logits = head.logits(method, table.text[rows], table.image[rows])  # (n, C)
        temperature = head.temperature if method == "fused" else head.temperatures_alone.get(method, 1.0)
        scaled = fusion.probabilities(logits, temperature, multilabel=head.multilabel)  # (n, K)
        probabilities[method] = scaled.astype(np.float64)
        unscaled[method] = fusion.probabilities(logits, multilabel=head.multilabel).astype(np.float64)  # (n, K)
    return Predictions(
        ids=table.ids[rows],
        labels=table.labels[rows],
        groups=table.groups[rows],
        subgroups={name: values[rows] for name, values in table.subgroups.items()},
        classes=table.classes,
        task=head.task,
        probabilities=probabilities,
        unscaled=unscaled,
        thresholds={method: np.full(len(rows), _threshold(head, method)) for method in METHODS[1:]},
    )


def _threshold(head: Head, method: str) -> float:
    if head.referral is None:
        return math.nan
    threshold = head.referral.thresholds[method].threshold
    return math.inf if threshold is None else threshold


def join(parts: Sequence[Predictions]) -> Predictions:
    """The rows of all parts one after another, such as the test rows of every fold; equal groups stay one group.

    Raises:
        BadInput: there are no parts, or their classes, tasks or subgroups differ.
    """
    if len({(each.classes, each.task, tuple(sorted(each.subgroups))) for each in parts}) != 1:
        raise BadInput("Predictions can be pooled only where classes, task and subgroups are the same.")
    return _made(parts[0], lambda pick: np.concatenate([pick(each) for each in parts]))


def subset(predictions: Predictions, rows: NDArray[np.int64]) -> Predictions:
    """The rows of these numbers (m,)."""
    return _made(predictions, lambda pick: pick(predictions)[rows])


Pick = Callable[[Predictions], NDArray[Any]]


def _made(like: Predictions, make: Callable[[Pick], NDArray[Any]]) -> Predictions:
    """Predictions whose every member `make` gives, when it is told how that member is picked from others."""

    def by_name(member: str) -> dict[str, NDArray[Any]]:
        def one(name: str) -> NDArray[Any]:
            return make(lambda of: getattr(of, member)[name])

        return {name: one(name) for name in getattr(like, member)}

    return Predictions(
        ids=make(lambda of: of.ids),
        labels=make(lambda of: of.labels),
        groups=make(lambda of: of.groups),
        subgroups=by_name("subgroups"),
        classes=like.classes,
        task=like.task,
        probabilities=by_name("probabilities"),
        unscaled=by_name("unscaled"),
        thresholds=by_name("thresholds"),
    )
