"""Training a head here against PyTorch, on this machine: python bench/compare_training.py --help

The same head from the same start values on the same rows, with torch's own modules and AdamW in its default and in its
fused form. All rows are in memory and batches are gathered by index: no DataLoader, which would cost torch more. Each
round trains one epoch with each, in an order that turns from round to round, so that a busy or throttling machine slows
all alike; ratios are taken per round. One uncounted round comes first. Where other programs want the cores too, torch's
threads wait for each other in vain and lose far more than ours: measure on an idle machine, or with `chrt -r 10`.

Vectors and labels are random: shape and speed only.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray

from edgefuse.progress import bar
from edgefuse.training import losses, network, shapes, trainer
from edgefuse_runtimes.machine import set_blas_threads
from edgefuse_runtimes.processor import processor_name
from edgefuse_runtimes.team import Team

Epoch = Callable[[], None]


def our_epoch(shape: shapes.Architecture, rows: trainer.Rows, threads: int) -> Epoch:
    """One epoch with this repository's trainer, each time it is called."""
    rng = np.random.default_rng(1)
    weights = losses.class_weights(rows.labels, max(shape.outputs, 2))
    parameters = network.initial(shape, np.random.default_rng(0))
    learner = trainer.Learner(shape, parameters, trainer.PAPER, Team(threads))
    return lambda: learner.epoch(rows, weights, rng)


class TorchHead(torch.nn.Module):  # type: ignore[misc]
    """A head of one block a branch, out of torch's modules."""

    def __init__(self, shape: shapes.Architecture) -> None:
        super().__init__()
        self.columns = [slice(branch.start, branch.stop) for branch in shape.branches]
        self.branches = torch.nn.ModuleList(
            torch.nn.Sequential(
                torch.nn.Linear(branch.widths[0], branch.widths[1]),
                torch.nn.ReLU(),
                torch.nn.Dropout(0.0),
                torch.nn.BatchNorm1d(branch.widths[1]),
            )
            for branch in shape.branches
        )
        self.output = torch.nn.Linear(shape.hidden, shape.outputs)

    def forward(self, rows: Any) -> Any:
        """Logits (n, C) of rows (n, d)."""
        parts = [branch(rows[:, own]) for own, branch in zip(self.columns, self.branches, strict=True)]
        return self.output(torch.cat(parts, dim=1))


def torch_epoch(shape: shapes.Architecture, rows: trainer.Rows, *, fused: bool | None) -> Epoch:
    """One epoch with PyTorch, each time it is called."""
    torch.manual_seed(0)
    head = TorchHead(shape)
    adamw = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.01, fused=fused)
    vectors, labels = torch.from_numpy(rows.joined), torch.from_numpy(rows.labels)
    weights = torch.from_numpy(losses.class_weights(rows.labels, max(shape.outputs, 2)))

    def loss(logits: Any, wanted: Any) -> Any:
        if shape.outputs > 1:
            return torch.nn.functional.cross_entropy(logits, wanted, weight=weights)
        each = weights[wanted]
        return torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], wanted.float(), weight=each)

    def epoch() -> None:
        for batch in torch.randperm(len(vectors)).split(trainer.PAPER.batch):
            adamw.zero_grad()
            loss(head(vectors[batch]), labels[batch]).backward()
            adamw.step()

    return epoch


def seconds(epoch: Epoch) -> float:
    """What one call takes."""
    started = time.perf_counter()
    epoch()
    return time.perf_counter() - started


def compare(epochs: dict[str, Epoch], rounds: int, label: str) -> dict[str, list[float]]:
    """Seconds of every epoch of every round, in turns."""
    names = list(epochs)
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in bar(label, range(rounds + 1), rounds + 1):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            took = seconds(epochs[name])
            if number:
                found[name].append(took)
    return found


def random_rows(count: int, text_width: int, image_width: int, classes: int) -> trainer.Rows:
    """Random rows with every class among them."""
    rng = np.random.default_rng(0)
    joined: NDArray[np.float32] = rng.standard_normal((count, text_width + image_width), dtype=np.float32)
    return trainer.Rows(joined, text_width, rng.permutation(np.arange(count) % classes))


@click.command(epilog="Example: python bench/compare_training.py --rounds 9")
@click.option("--rows", "count", type=click.IntRange(min=2), default=13_012, show_default=True)
@click.option("--text", "text_width", type=click.IntRange(min=1), default=4096, show_default=True, help="Text width.")
@click.option("--image", "image_width", type=click.IntRange(min=1), default=768, show_default=True, help="Image width.")
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True, help="For each of them.")
@click.option("--rounds", type=click.IntRange(min=1), default=7, show_default=True)
def main(count: int, text_width: int, image_width: int, threads: int, rounds: int) -> None:
    """Compare seconds per epoch of early and late heads with one and with seven logits."""
    set_blas_threads(1)
    torch.set_num_threads(threads)
    click.echo(
        f"{count:,} rows x {text_width} + {image_width}, batch {trainer.PAPER.batch}, {threads} threads, "
        f"torch {torch.__version__}, numpy {np.__version__}, {processor_name()}"
    )
    click.echo("seconds per epoch, median of rounds; ratios: median over rounds (least to most)")
    columns = ("edgefuse", "torch", "torch fused", "to torch", "to torch fused")
    click.echo(f"{'':<14}{''.join(f'{name:>20}' for name in columns)}")
    for fusion in ("early", "late"):
        for outputs in (1, 7):
            rows = random_rows(count, text_width, image_width, max(outputs, 2))
            shape = getattr(shapes, fusion)(text_width, image_width, outputs)
            epochs = {
                "edgefuse": our_epoch(shape, rows, threads),
                "torch": torch_epoch(shape, rows, fused=None),
                "torch fused": torch_epoch(shape, rows, fused=True),
            }
            found = compare(epochs, rounds, f"{fusion}, C = {outputs}")
            cells = [f"{statistics.median(found[name]):.3f}" for name in epochs]
            for other in ("torch", "torch fused"):
                ratios = [own / their for own, their in zip(found["edgefuse"], found[other], strict=True)]
                cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
            click.echo(f"{f'{fusion}, C = {outputs}':<14}{''.join(f'{cell:>20}' for cell in cells)}")


if __name__ == "__main__":
    main()
