"""Training by hand against torch, and the choice of the epoch."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from edgefuse.metrics import classification as metrics
from edgefuse.training import first_linears, losses, network, trainer
from edgefuse_runtimes import fusion
from edgefuse_runtimes.team import Team

ROWS, TEXT, IMAGE = 200, 30, 20


def _data(classes: int, *, multilabel: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(ROWS, TEXT + IMAGE)).astype(np.float32)
    chances = np.arange(1, classes + 1) / sum(range(1, classes + 1))
    if multilabel:
        return rows, (rng.random((ROWS, classes)) < chances).astype(np.int64)
    return rows, rng.choice(classes, ROWS, p=chances).astype(np.int64)


def _torch_head(torch: Any, shape: network.Architecture, values: network.Network) -> Any:
    """The same head out of torch's own modules, with the same start values."""

    def branch(of: network.BranchShape, blocks: tuple[network.Block, ...]) -> Any:
        modules = []
        for (d, h), block in zip(pairwise(of.widths), blocks, strict=True):
            linear, norm = torch.nn.Linear(d, h), torch.nn.BatchNorm1d(h)
            _set(torch, linear, block.linear)
            _set(torch, norm, block.norm)
            modules += [linear, torch.nn.ReLU(), torch.nn.Dropout(0.0), norm]
        return torch.nn.Sequential(*modules)

    class Head(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.branches = torch.nn.ModuleList(map(branch, shape.branches, values.branches))
            self.output = torch.nn.Linear(shape.hidden, shape.outputs)
            _set(torch, self.output, values.output)

        def forward(self, rows: Any) -> Any:
            parts = [b(rows[:, of.start : of.stop]) for of, b in zip(shape.branches, self.branches, strict=True)]
            return self.output(torch.cat(parts, dim=1))

    return Head()


def _set(torch: Any, module: Any, values: tuple[np.ndarray, np.ndarray]) -> None:
    with torch.no_grad():
        module.weight.copy_(torch.tensor(values[0]))
        module.bias.copy_(torch.tensor(values[1]))


def _torch_loss(torch: Any, logits: Any, labels: np.ndarray, weights: np.ndarray) -> Any:
    if labels.ndim == 2:
        each, wanted = torch.tensor(np.where(labels == 1, *weights[::-1])), torch.tensor(labels, dtype=torch.float32)
        summed = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted, weight=each, reduction="sum")
        return summed / each.sum()
    if logits.shape[1] > 1:
        return torch.nn.functional.cross_entropy(logits, torch.tensor(labels), weight=torch.tensor(weights))
    each = torch.tensor(weights[labels])
    terms = torch.nn.functional.binary_cross_entropy_with_logits(
        logits[:, 0], torch.tensor(labels, dtype=torch.float32), reduction="none"
    )
    return (each * terms).sum() / each.sum()


def _apart(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def _pairs(ours: network.Network, theirs: Any) -> list[tuple[np.ndarray, Any]]:
    """Each array of our network beside torch's parameter."""
    pairs = [(ours.output.weight, theirs.output.weight), (ours.output.bias, theirs.output.bias)]
    for blocks, branch in zip(ours.branches, theirs.branches, strict=True):
        for number, block in enumerate(blocks):
            linear, norm = branch[4 * number], branch[4 * number + 3]
            pairs += [(block.linear.weight, linear.weight), (block.linear.bias, linear.bias)]
            pairs += [(block.norm.gamma, norm.weight), (block.norm.beta, norm.bias)]
    return pairs


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("depth", "hidden"), [(1, 64), (3, 16)])  # deep and wide, a unit soon is at 0 in one of both
@pytest.mark.parametrize("kind", ["early", "late"])
@pytest.mark.parametrize(("classes", "outputs", "multilabel"), [(2, 1, False), (7, 7, False), (5, 5, True)])
def test_three_epochs_go_as_in_torch(
    kind: str,
    classes: int,
    outputs: int,
    multilabel: bool,
    depth: int,
    hidden: int,
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch = pytest.importorskip("torch", reason="compares with torch, which is not installed")
    torch.set_num_threads(1)  # the matrices are tiny
    monkeypatch.setattr(first_linears, "PIECE", 500)  # so that there are several, of unequal sizes
    shape = {"early": network.early, "late": network.late}[kind](TEXT, IMAGE, outputs, hidden, depth)
    rows, labels = _data(classes, multilabel=multilabel)
    weights = losses.class_weights(labels, classes)
    parameters = network.initial(shape, np.random.default_rng(1))
    views = network.views(shape, parameters)
    theirs = _torch_head(torch, shape, views)
    their_optimizer = torch.optim.AdamW(theirs.parameters(), lr=1e-3, betas=(0.9, 0.999), weight_decay=0.01)
    gradients = np.empty_like(parameters)
    named = network.views(shape, gradients)
    learner = trainer.Learner(shape, parameters, trainer.PAPER, Team(threads))
    rng = np.random.default_rng(2)
    order = [batch for _ in range(3) for batch in trainer.batches(ROWS, 64, rng)]
    products = None
    for batch, following in pairwise([*order, None]):
        logits, trace = network.forward(shape, views, network.products(shape, views, rows[batch]))
        value, slope = losses.loss(logits, labels[batch], weights)
        slopes = network.backward(views, trace, slope, named)
        network.first_weight_gradients(shape, rows[batch], slopes, named)
        after = None if following is None else rows[following]
        products = learner.step(rows[batch], labels[batch], weights, products, after)

        their_logits = theirs(torch.tensor(rows[batch]))
        their_value = _torch_loss(torch, their_logits, labels[batch], weights)
        their_optimizer.zero_grad()
        their_value.backward()
        their_optimizer.step()

        assert value == pytest.approx(their_value.item(), rel=1e-4)
        assert _apart(logits, their_logits.detach().numpy()) < 1e-4
        largest = max(float(theirs_.grad.abs().max()) for _, theirs_ in _pairs(named, theirs))
        for found, wanted in _pairs(named, theirs):
            assert np.abs(found - wanted.grad.numpy()).max() < 1e-4 * largest
        for found, wanted in _pairs(views, theirs):
            assert _apart(found, wanted.detach().numpy()) < 1e-4
    theirs.eval()
    found = fusion.logits(learner.folded(), {"text": rows[:, :TEXT], "image": rows[:, TEXT:]})
    with torch.no_grad():
        assert _apart(found, theirs(torch.tensor(rows)).numpy()) < 1e-4


def _parts(seed: int = 0) -> tuple[trainer.Rows, trainer.Rows]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 300)
    signs = rng.normal(size=(3, 12))
    rows = (rng.normal(size=(300, 12)) + 0.5 * signs[labels]).astype(np.float32)
    return tuple(trainer.Rows(rows[p], 7, labels[p]) for p in (slice(0, 200), slice(200, 300)))  # type: ignore[return-value]


def test_the_epoch_is_the_one_best_on_validation() -> None:
    training, validation = _parts()
    shape = network.early(7, 5, 3)
    by_epoch = []
    for epochs in range(1, 9):
        done = trainer.train(shape, training, validation, trainer.Settings(epochs=epochs), np.random.default_rng(5))
        predicted = fusion.logits(done.head, validation.vectors()).argmax(axis=1)
        assert done.figures == metrics.figures(validation.labels, predicted)
        by_epoch.append(done)
    scores = [(done.figures.macro_f1, -done.loss) for done in by_epoch]
    assert scores == sorted(scores)
    assert by_epoch[-1].epoch <= 8
    assert by_epoch[by_epoch[-1].epoch - 1].figures == by_epoch[-1].figures


def test_the_same_seed_gives_the_same_head_with_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_linears, "PIECE", 100)
    shape, (training, validation) = network.late(7, 5, 3), _parts()
    settings = trainer.Settings(epochs=2)
    one, two, other = (
        trainer.train(shape, training, validation, settings, np.random.default_rng(seed), threads=threads)
        for seed, threads in ((5, 1), (5, 3), (6, 1))
    )
    np.testing.assert_array_equal(one.head.weight, two.head.weight)
    assert not np.array_equal(one.head.weight, other.head.weight)


@pytest.mark.parametrize(("n", "sizes"), [(64, [64]), (130, [64, 64, 2]), (129, [64, 65]), (1, [1]), (65, [65])])
def test_every_row_is_in_one_batch_and_none_is_alone(n: int, sizes: list[int]) -> None:
    found = list(trainer.batches(n, 64, np.random.default_rng(0)))
    assert [len(batch) for batch in found] == sizes
    assert sorted(np.concatenate(found)) == list(range(n))
