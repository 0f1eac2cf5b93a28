"""The training loop, and the choice of the epoch on validation rows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgefuse.metrics import classification as metrics
from edgefuse.progress import Progress, silent
from edgefuse.training import losses, network, optimizer, shapes
from edgefuse.training.first_linears import FirstLinears
from edgefuse_runtimes import fusion
from edgefuse_runtimes.spec import Modality
from edgefuse_runtimes.team import Team

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

MOST_MEMBERS = 16
"""Of a head, see `Settings.members`."""
JUDGED_AT_A_TIME = 512
"""Validation rows whose vectors are joined at a time, so that there is no second copy of them all."""


@dataclass(frozen=True)
class Rows:
    """Aligned vectors and labels of one part of a split."""

    joined: Floats
    """(n, w_t + w_i): text, then image"""
    text_width: int
    """w_t"""
    labels: Labels
    """(n,) class numbers; multilabel: 0 and 1 (n, K)"""
    units: tuple[float, float] = (1.0, 1.0)
    """What length 1 of text and image vectors, before they were divided by the alignment's scales, is here."""

    def vectors(self) -> dict[Modality, Floats]:
        """What a head reads: (n, w_t) and (n, w_i), as views."""
        return {"text": self.joined[:, : self.text_width], "image": self.joined[:, self.text_width :]}


@dataclass(frozen=True)
class Settings:
    """How a head is trained; the defaults are the paper's."""

    epochs: int = 30
    batch: int = 64
    optimizer: optimizer.AdamW = field(default_factory=optimizer.AdamW)
    hidden: int | None = None
    """Units of every block; None: 64 in each branch of late fusion, else 128."""
    depth: int = 1
    """Blocks one after the other in every branch."""
    dropout: float = 0.0
    class_weights: Literal["balanced", "none"] = "balanced"
    patience: int | None = None
    """Epochs without a better one after which training ends; None: all epochs are done."""
    noise: float = 0.0
    """Deviation of the noise that is added to each number of the vectors of length 1, anew in every batch."""
    alignment_loss: float = 0.0
    """Weight of `losses.apart` in heads of two branches."""
    members: int = 1
    """Networks of a head, from different start values and batches; its logits are the mean of theirs."""


PAPER = Settings()


@dataclass(frozen=True)
class Trained:
    """The head of the best epoch, and how it did on the validation rows."""

    head: fusion.Head
    epoch: int
    """Counted from 1; of several members, the mean of theirs, rounded."""
    figures: metrics.Figures
    loss: float
    """Class-weighted loss on the validation rows."""
    epochs: int = 0
    """That were done; of several members, the most of one."""
    seconds: float = 0.0
    """Of training per epoch, the mean of all; judging on the validation rows is not in it."""


def train_members(
    architecture: shapes.Architecture,
    training: Rows,
    validation: Rows,
    settings: Settings,
    rngs: Sequence[np.random.Generator],
    progress: Progress = silent,
    label: str = "training",
    threads: int = 1,
) -> Trained:
    """Train a network with each of `rngs`, and join them to the one head whose logits are the mean of theirs."""
    labels = [label] if len(rngs) == 1 else [f"{label}, member {number}" for number in range(1, len(rngs) + 1)]
    members = [
        train(architecture, training, validation, settings, rng, progress, own, threads)
        for rng, own in zip(rngs, labels, strict=True)
    ]
    return members[0] if len(members) == 1 else joined(members, training, validation, settings)


def joined(members: Sequence[Trained], training: Rows, validation: Rows, settings: Settings) -> Trained:
    """The one head whose logits are the mean of those of all `members`, judged on the validation rows."""
    head = fusion.mean_of([member.head for member in members])
    return replace(
        _judge(head, round(float(np.mean([one.epoch for one in members]))), validation, _weights(training, settings)),
        epochs=max(member.epochs for member in members),
        seconds=sum(member.seconds for member in members),
    )


def train(
    architecture: shapes.Architecture,
    training: Rows,
    validation: Rows,
    settings: Settings,
    rng: np.random.Generator,
    progress: Progress = silent,
    label: str = "training",
    threads: int = 1,
) -> Trained:
    """Train a head and keep the epoch best in validation macro-F1; of equals, the one of lower loss.

    With `settings.patience` training ends once so many epochs in a row were not better than the best.

    The rows must hold every class in `training` and at least two training rows. Any number of threads gives the same
    head; numpy's BLAS should use one.
    """
    weights = _weights(training, settings)
    team = Team(threads)
    try:
        learner = Learner(architecture, network.initial(architecture, rng), settings, team)
        best: Trained | None = None
        seconds: list[float] = []

        def epochs() -> Iterator[int]:
            for number in range(1, settings.epochs + 1):
                yield number
                if settings.patience is not None and best is not None and number - best.epoch >= settings.patience:
                    return

        for epoch in progress(label, epochs(), settings.epochs):
            started = time.perf_counter()
            learner.epoch(training, weights, rng)
            seconds.append(time.perf_counter() - started)
            now = _judge(learner.folded(), epoch, validation, weights)
            if best is None or (now.figures.macro_f1, -now.loss) > (best.figures.macro_f1, -best.loss):
                best = now
    finally:
        team.close()
    assert best is not None, "there is at least one epoch"
    return replace(best, epochs=len(seconds), seconds=float(np.mean(seconds)))


class Learner:
    """A head that learns: its parameters, their moments, and the running statistics of its BatchNorms."""

    def __init__(self, architecture: shapes.Architecture, parameters: Floats, settings: Settings, team: Team) -> None:
        """`parameters` (p,) are laid out as in `network.views`, and change in place."""
        self._architecture = architecture
        self._settings = settings
        self._others = slice(architecture.first_count, None)  # all parameters but the first Linears' weights
        self._gradients = np.zeros_like(parameters)  # (p,)
        self._moments = optimizer.Moments.zeros(len(parameters))
        self._views = network.views(architecture, parameters)
        self._gradient_views = network.views(architecture, self._gradients)
        self._first = FirstLinears(architecture, parameters, self._moments, settings.batch + 1, team)
        self._running = network.initial_statistics(architecture)
        self._steps = 0
        self.parameters = parameters

    def epoch(self, rows: Rows, weights: Floats, rng: np.random.Generator) -> None:
        """One pass over the rows, in batches; `weights` (K,) are those of the classes."""
        chosen = list(batches(len(rows.joined), self._settings.batch, rng))  # numbers of rows
        memory = [np.empty((self._settings.batch + 1, rows.joined.shape[1]), np.float32) for _ in range(2)]
        noise = self._noise(rows)
        batch: Floats | None = _gather(rows, chosen[0], memory[0], noise, rng)  # (b, d)
        products: tuple[Floats, ...] | None = None
        for number, numbers in enumerate(chosen):
            assert batch is not None
            following = None
            if number + 1 < len(chosen):
                following = _gather(rows, chosen[number + 1], memory[(number + 1) % 2], noise, rng)
            products = self.step(batch, rows.labels[numbers], weights, products, following, rng)
            batch = following

    def step(
        self,
        batch: Floats,
        labels: Labels,
        weights: Floats,
        products: tuple[Floats, ...] | None = None,
        following: Floats | None = None,
        rng: np.random.Generator | None = None,
    ) -> tuple[Floats, ...] | None:
        """Learn from one batch (b, d) with its labels (b,).

        Args:
            batch: text and image joined.
            labels: class numbers.
            weights: (K,) of the classes.
            products: what the step before returned for this batch, or None.
            following: the batch after this one, if it is known.
            rng: draws the dropout.

        Returns:
            The products of the `following` batch, each (n, h).
        """
        if products is None:
            products = self._first.products(batch)
        logits, trace = network.forward(self._architecture, self._views, products, rng)  # (b, C)
        _, slope = losses.loss(logits, labels, weights)  # (b, C)
        pull = None
        if self._settings.alignment_loss and len(self._architecture.branches) == 2:
            _, pull = losses.apart(trace.joined)  # (b, H)
            pull *= np.float32(self._settings.alignment_loss)
        slopes = network.backward(self._views, trace, slope, self._gradient_views, pull)
        self._steps += 1
        now = optimizer.step(self._settings.optimizer, self._steps)
        products = self._first.step(now, batch, slopes, following)
        rest = self._others
        moments = optimizer.Moments(self._moments.first[rest], self._moments.second[rest])
        optimizer.update(now, self.parameters[rest], moments, self._gradients[rest])
        self._running = network.track(self._running, trace.statistics, len(batch))
        return products

    def _noise(self, rows: Rows) -> Floats | None:
        """The deviation (d,) of the noise that is added to the rows, as they are after the alignment's last step."""
        if not self._settings.noise:
            return None
        widths = rows.text_width, rows.joined.shape[1] - rows.text_width
        return np.repeat(np.float32(self._settings.noise) * np.array(rows.units, np.float32), widths)

    def folded(self) -> fusion.Head:
        """The head as the device would run it now."""
        return network.fold(self._architecture, self._views, self._running)


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


def _gather(
    rows: Rows, numbers: NDArray[np.int64], memory: Floats, noise: Floats | None, rng: np.random.Generator
) -> Floats:
    """The rows of these numbers (b,), copied into the memory (>= b, d), with noise of this deviation (d,)."""
    batch = memory[: len(numbers)]
    np.take(rows.joined, numbers, axis=0, out=batch, mode="clip")  # any other mode takes a copy first
    if noise is not None:
        batch += rng.standard_normal(batch.shape, np.float32) * noise
    return batch


def _weights(training: Rows, settings: Settings) -> Floats:
    """Of the classes, (K,) or (2, K)."""
    weights = losses.class_weights(training.labels, int(training.labels.max()) + 1)
    return np.ones_like(weights) if settings.class_weights == "none" else weights


def _judge(head: fusion.Head, epoch: int, rows: Rows, weights: Floats) -> Trained:
    logits = logits_of(head, rows)  # (n, C)
    multilabel = rows.labels.ndim == 2
    predicted = metrics.decide(fusion.probabilities(logits, multilabel=multilabel), multilabel=multilabel)
    loss, _ = losses.loss(logits, rows.labels, weights)
    return Trained(head, epoch, metrics.figures(rows.labels, predicted), loss)


def logits_of(head: fusion.Head, rows: Rows) -> Floats:
    """Logits (n, C) of all rows."""
    vectors = rows.vectors()
    return np.concatenate(
        [
            fusion.logits(head, {name: values[start : start + JUDGED_AT_A_TIME] for name, values in vectors.items()})
            for start in range(0, len(rows.joined), JUDGED_AT_A_TIME)
        ]
    )
