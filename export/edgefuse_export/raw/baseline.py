"""Training and judging the raw baseline: pictures and notes go through both backbones anew in every epoch.

That is what the paper does, and what its seconds count. The epoch is chosen on validation rows, by macro-F1 and then by
loss, as everywhere in edgefuse; test rows are read once, at the end. Frozen backbones give the validation rows the same
vectors in every epoch, so those are kept.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.card import machine_card
from edgefuse.datasets import Sample
from edgefuse.embeddings.table import Table, table_digest
from edgefuse.evaluation.megabytes import head_megabytes, read_megabytes
from edgefuse.extraction.encoding import prepared
from edgefuse.extras import importable
from edgefuse.heads import Fusion
from edgefuse.metrics import classification as metrics
from edgefuse.progress import Progress, silent
from edgefuse.training.losses import class_weights
from edgefuse.training.trainer import batches
from edgefuse_export.raw import heads
from edgefuse_export.raw.backbones import EXTRA, Backbones, encode
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.machine import process_memory

SCHEMA = 1
METHOD = "raw"


@dataclass(frozen=True)
class Settings:
    """How it is trained; the defaults are the paper's."""

    fusion: Fusion
    unfreeze: bool = False
    """Whether the backbones learn too."""
    epochs: int = 30
    batch: int = 64
    seed: int = 0
    learning_rate: float = 1e-3
    backbone_learning_rate: float = 2e-5
    """Of unfrozen backbones: the head's would wipe out what they know."""
    weight_decay: float = 0.01


@dataclass(frozen=True)
class Part:
    """The rows of one part of the split."""

    name: str
    samples: Sequence[Sample]
    labels: NDArray[np.int64]
    """(n,) class numbers"""


def run(
    table: Table, samples: Sequence[Sample], backbones: Backbones, settings: Settings, progress: Progress = silent
) -> dict[str, Any]:
    """The content of `raw.json`: figures, seconds, sizes and how they came about.

    Args:
        table: gives rows, labels and parts; its vectors are not read.
        samples: of the table's rows, in their order.
        backbones: as opened.
        settings: of the training.
        progress: shows the batches of every epoch.

    Raises:
        BadInput: the table is multilabel, or a part or a class has too few rows.
    """
    parts = {name: _part(table, samples, name) for name in ("train", "validation", "test")}
    _check(table, parts["train"])
    torch = importable("torch", EXTRA)
    torch.manual_seed(settings.seed)
    outputs = 1 if len(table.classes) == 2 else len(table.classes)
    model = Model(backbones, heads.make_head(settings.fusion, backbones.widths, outputs), settings)
    weights = class_weights(parts["train"].labels, len(table.classes))  # (K,)
    kept, history = _train(model, parts, torch.from_numpy(weights), progress)
    started = time.perf_counter()
    found, _ = model.judge(parts["test"], torch.from_numpy(weights), progress)
    inference = time.perf_counter() - started
    return {
        "schema": SCHEMA,
        "method": METHOD,
        "dataset": table.dataset,
        "classes": list(table.classes),
        "split_seed": table.split_seed,
        "table_sha256": table_digest(table),
        "settings": asdict(settings),
        "backbones": _described(backbones),
        "rows": {name: len(part.labels) for name, part in parts.items()},
        "history": history,
        "kept_epoch": kept,
        "validation": history[kept - 1]["validation"],
        "test": asdict(found),
        "seconds_per_epoch": {
            "training": round(float(np.mean([epoch["seconds"] for epoch in history])), 3),
            "inference": round(inference, 3),
        },
        "megabytes": {
            "head": round(head_megabytes(backbones.parameter_count + heads.parameter_count(model.head)), 2),
            "read_per_epoch": round(
                read_megabytes(len(parts["train"].labels), 3 * backbones.preprocess.crop**2, outputs), 2
            ),
        },
        "peak_rss_bytes": process_memory().peak_rss_bytes,
        "threads": torch.get_num_threads(),
        "machine": machine_card(),
    }


class Model:
    """Backbones with a head on top, while it learns."""

    def __init__(self, backbones: Backbones, head: Any, settings: Settings) -> None:
        torch = importable("torch", EXTRA)
        self.backbones, self.head, self.settings = backbones, head, settings
        backbones.trainable(settings.unfreeze)
        learning = [{"params": list(head.parameters()), "lr": settings.learning_rate}]
        if settings.unfreeze:
            both = [*backbones.text.parameters(), *backbones.image.parameters()]
            learning.append({"params": both, "lr": settings.backbone_learning_rate})
        self.optimizer = torch.optim.AdamW(learning, weight_decay=settings.weight_decay)
        self._kept: dict[str, tuple[Any, Any]] = {}

    def learn(self, part: Part, order: Sequence[NDArray[np.int64]], weights: Any) -> Iterator[float]:
        """One epoch over the batches of row numbers in `order`; yields each batch's loss."""
        torch = importable("torch", EXTRA)
        self.head.train()
        self.backbones.trainable(self.settings.unfreeze)
        for rows, pixels in _with_pixels(part, order, self.backbones):
            with torch.set_grad_enabled(self.settings.unfreeze):
                text, image = encode(self.backbones, [part.samples[row].text for row in rows], pixels)
            loss = _loss(heads.logits(self.head, text, image), torch.from_numpy(part.labels[rows]), weights)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            yield float(loss.detach())

    def judge(self, part: Part, weights: Any, progress: Progress) -> tuple[metrics.Figures, float]:
        """Figures and class-weighted loss on a part's rows."""
        torch = importable("torch", EXTRA)
        self.head.eval()
        for model in (self.backbones.text, self.backbones.image):
            model.eval()
        with torch.no_grad():
            text, image = self._vectors(part, progress)
            found = heads.logits(self.head, text, image)  # (n, C)
            loss = float(_loss(found, torch.from_numpy(part.labels), weights))
        predicted = (found[:, 0] > 0).long() if found.shape[1] == 1 else found.argmax(dim=1)  # (n,)
        return metrics.figures(part.labels, predicted.numpy()), loss

    def _vectors(self, part: Part, progress: Progress) -> tuple[Any, Any]:
        """Vectors (n, d_t) and (n, d_i) of a part's rows; those of frozen backbones are made once."""
        torch = importable("torch", EXTRA)
        if part.name not in self._kept:
            size = self.settings.batch
            order = [
                np.arange(start, min(start + size, len(part.labels))) for start in range(0, len(part.labels), size)
            ]
            encoded = [
                encode(self.backbones, [part.samples[row].text for row in rows], pixels)
                for rows, pixels in progress(f"{part.name} rows", _with_pixels(part, order, self.backbones), len(order))
            ]
            both = tuple(torch.cat(vectors) for vectors in zip(*encoded, strict=True))
            if self.settings.unfreeze:
                return both[0], both[1]
            self._kept[part.name] = both[0], both[1]
        return self._kept[part.name]


def _train(model: Model, parts: dict[str, Part], weights: Any, progress: Progress) -> tuple[int, list[dict[str, Any]]]:
    """Train, leave the best epoch's numbers in the model, and return its number and what every epoch gave."""
    settings, rng = model.settings, np.random.default_rng(model.settings.seed)
    learners = [model.head, *((model.backbones.text, model.backbones.image) if settings.unfreeze else ())]
    history: list[dict[str, Any]] = []
    best, kept, states = (-1.0, 0.0), 0, []
    for number in range(1, settings.epochs + 1):
        order = list(batches(len(parts["train"].labels), settings.batch, rng))
        started = time.perf_counter()
        steps = model.learn(parts["train"], order, weights)
        losses = list(progress(f"epoch {number} of {settings.epochs}", steps, len(order)))
        seconds = time.perf_counter() - started
        figures, loss = model.judge(parts["validation"], weights, progress)
        history.append(
            {
                "seconds": round(seconds, 3),
                "training_loss": round(float(np.mean(losses)), 6),
                "validation_loss": round(loss, 6),
                "validation": asdict(figures),
            }
        )
        if (figures.macro_f1, -loss) > best:
            best, kept = (figures.macro_f1, -loss), number
            states = [copy.deepcopy(learner.state_dict()) for learner in learners]
    for learner, state in zip(learners, states, strict=True):
        learner.load_state_dict(state)
    return kept, history


def _with_pixels(
    part: Part, order: Sequence[NDArray[np.int64]], backbones: Backbones
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """The row numbers of every batch with the pixels (b, 3, H, W) of its pictures, decoded ahead."""
    pictures = prepared((part.samples[row].image for rows in order for row in rows), backbones.preprocess)
    for rows in order:
        yield rows, np.stack([next(pictures) for _ in rows])


def _loss(found: Any, labels: Any, weights: Any) -> Any:
    """Class-weighted cross-entropy of logits (n, C), binary for C = 1; the same as `edgefuse.training.losses`."""
    functional = importable("torch.nn.functional", EXTRA)
    if found.shape[1] > 1:
        return functional.cross_entropy(found, labels, weight=weights)
    share = weights[labels] / weights[labels].sum()  # (n,)
    return functional.binary_cross_entropy_with_logits(found[:, 0], labels.float(), weight=share, reduction="sum")


def _part(table: Table, samples: Sequence[Sample], name: str) -> Part:
    rows = np.flatnonzero(table.splits == name)
    if not len(rows):
        raise BadInput(f"{table.folder} has no {name} rows; extract it with more samples.")
    return Part(name, [samples[row] for row in rows.tolist()], table.labels[rows])


def _check(table: Table, training: Part) -> None:
    if table.multilabel:
        raise BadInput(f"{table.folder} is multilabel, which the raw baseline is not made for; use 'edgefuse train'.")
    absent = sorted({*range(len(table.classes))} - {*training.labels.tolist()})
    if absent:
        raise BadInput(
            f"The class {table.classes[absent[0]]!r} has no training row in {table.folder}; extract more samples."
        )
    if len(training.labels) < 2:
        raise BadInput(f"{table.folder} has one training row, from which no BatchNorm can learn; extract more samples.")


def _described(backbones: Backbones) -> dict[str, Any]:
    text, image = backbones.text, backbones.image
    return {
        "text": {"name": text.config.name_or_path, "width": text.config.hidden_size, "tokens": backbones.tokens},
        "image": {"name": image.config.name_or_path, "width": image.config.hidden_size},
        "parameters": backbones.parameter_count,
    }
