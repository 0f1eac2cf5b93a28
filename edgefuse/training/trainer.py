"""The training loop, and the choice of the epoch on validation rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgefuse.metrics import classification as metrics
from edgefuse.progress import Progress, silent
from edgefuse.training import losses, network, optimizer
from edgefuse_runtimes import fusion
from edgefuse_runtimes.spec import Modality

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Aligned vectors and labels of one part of a split."""

    text: Floats
    """(n, w_t)"""
    image: Floats
    """(n, w_i)"""
    labels: Labels
    """(n,) class numbers"""

    def vectors(self) -> dict[Modality, Floats]:
        """What a head reads."""
        return {"text": self.text, "image": self.image}


@dataclass(frozen=True)
class Settings:
    """How a head is trained; the defaults are the paper's."""

    epochs: int = 30
    batch: int = 64
    optimizer: optimizer.AdamW = field(default_factory=optimizer.AdamW)


PAPER = Settings()


@dataclass(frozen=True)
class Trained:
    """The head of the best epoch, and how it did on the validation rows."""

    head: fusion.Head
    epoch: int
    """Counted from 1."""
    figures: metrics.Figures
    loss: float
    """Class-weighted loss on the validation rows."""


def train(
    architecture: network.Architecture,
    training: Rows,
    validation: Rows,
    settings: Settings,
    rng: np.random.Generator,
    progress: Progress = silent,
    label: str = "training",
) -> Trained:
    """Train a head and keep the epoch best in validation macro-F1; of equals, the one of lower loss.

    The rows must hold every class in `training` and at least two training rows.
    """
    classes = int(training.labels.max()) + 1
    weights = losses.class_weights(training.labels, classes)  # (K,)
    joined = np.concatenate([training.text, training.image], axis=1)  # (n, w_t + w_i)
    parameters = network.initial(architecture, rng)  # (p,)
    moments = optimizer.Moments.zeros(len(parameters))
    running = network.initial_statistics(architecture)
    best: Trained | None = None
    for epoch in progress(label, range(1, settings.epochs + 1), settings.epochs):
        for rows in batches(len(joined), settings.batch, rng):
            running = train_batch(
                architecture,
                parameters,
                moments,
                running,
                joined[rows],
                training.labels[rows],
                weights,
                settings,
                rng,
            )
        head = network.fold(architecture, network.views(architecture, parameters), running)
        now = _judge(head, epoch, validation, weights)
        if best is None or (now.figures.macro_f1, -now.loss) > (best.figures.macro_f1, -best.loss):
            best = now
    assert best is not None, "there is at least one epoch"
    return best


def train_batch(
    architecture: network.Architecture,
    parameters: Floats,
    moments: optimizer.Moments,
    running: tuple[network.Statistics, ...],
    rows: Floats,
    labels: Labels,
    weights: Floats,
    settings: Settings,
    rng: np.random.Generator | None = None,
) -> tuple[network.Statistics, ...]:
    """One step: `parameters` (p,) and `moments` change in place; returns the running statistics after it."""
    views = network.views(architecture, parameters)
    logits, trace = network.forward(architecture, views, rows, rng)  # (b, C)
    _, slope = losses.loss(logits, labels, weights)  # (b, C)
    gradients = np.empty_like(parameters)  # (p,)
    network.backward(views, trace, slope, network.views(architecture, gradients))
    optimizer.step(settings.optimizer, parameters, gradients, moments)
    return network.track(running, trace.statistics, len(rows))


def batches(n: int, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Row numbers of every batch of one epoch, shuffled; a last single row joins the batch before it.

    A BatchNorm cannot learn from one row: its variance is 0.
    """
    order = rng.permutation(n)
    starts = list(range(0, n, size))
    if n % size == 1 and len(starts) > 1:
        starts.pop()
    for start, stop in zip(starts, [*starts[1:], n], strict=True):
        yield order[start:stop]


def _judge(head: fusion.Head, epoch: int, rows: Rows, weights: Floats) -> Trained:
    logits = fusion.logits(head, rows.vectors())  # (n, C)
    predicted = fusion.probabilities(logits).argmax(axis=1)  # (n,)
    loss, _ = losses.loss(logits, rows.labels, weights)
    return Trained(head, epoch, metrics.figures(rows.labels, predicted), loss)
