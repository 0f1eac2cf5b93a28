"""Training by hand against torch, and the choice of the epoch."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from edgefuse.metrics import classification as metrics
from edgefuse.training import first_linears, losses, network, optimizer, shapes, trainer
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


def _torch_head(torch: Any, shape: shapes.Architecture, values: network.Network, dice: np.random.Generator) -> Any:
    """The same head out of torch's own modules, with the same start values, and dropout drawn by the dice."""

    class Dropout(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, values: Any) -> Any:
            if not self.training or not shape.dropout:
                return values
            kept = dice.random(tuple(values.shape)) >= shape.dropout
            return values * torch.tensor(kept / np.float32(1 - shape.dropout), dtype=torch.float32)

    def branch(of: shapes.BranchShape, blocks: tuple[network.Block, ...]) -> Any:
        modules = []
        for (d, h), block in zip(pairwise(of.widths), blocks, strict=True):
            linear, norm = torch.nn.Linear(d, h), torch.nn.BatchNorm1d(h)
            _set(torch, linear, block.linear)
            _set(torch, norm, block.norm)
            modules += [linear, torch.nn.ReLU(), Dropout(), norm]
        return torch.nn.Sequential(*modules)

    class Head(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.branches = torch.nn.ModuleList(map(branch, shape.branches, values.branches))
            self.output = torch.nn.Linear(shape.hidden, shape.outputs)
            _set(torch, self.output, values.output)

        def forward(self, rows: Any) -> Any:
            parts = [b(rows[:, of.start : of.stop]) for of, b in zip(shape.branches, self.branches, strict=True)]
            return self.output(torch.cat(parts, dim=1)), parts

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


def _check_against_torch(
    shape: shapes.Architecture,
    settings: trainer.Settings,
    rows: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    threads: int,
) -> None:
    """Logits, loss and gradients of every batch of three epochs, the parameters after it, and the folded head."""
    torch = pytest.importorskip("torch", reason="compares with torch, which is not installed")
    torch.set_num_threads(1)  # the matrices are tiny
    parameters = network.initial(shape, np.random.default_rng(1))
    views = network.views(shape, parameters)
    dice = [np.random.default_rng(3) for _ in range(3)]  # of dropout: for what we look into, for what learns, for torch
    theirs = _torch_head(torch, shape, views, dice[2])
    adamw = settings.optimizer
    their_optimizer = torch.optim.AdamW(theirs.parameters(), lr=adamw.learning_rate, weight_decay=adamw.weight_decay)
    gradients = np.empty_like(parameters)
    named = network.views(shape, gradients)
    learner = trainer.Learner(shape, parameters, settings, Team(threads))
    rng = np.random.default_rng(2)
    order = [batch for _ in range(3) for batch in trainer.batches(ROWS, settings.batch, rng)]
    products = None
    for batch, following in pairwise([*order, None]):
        logits, trace = network.forward(shape, views, network.products(shape, views, rows[batch]), dice[0])
        value, slope = losses.loss(logits, labels[batch], weights)
        pull = None
        if settings.alignment_loss:
            distance, pull = losses.apart(trace.joined)
            value, pull = value + settings.alignment_loss * distance, np.float32(settings.alignment_loss) * pull
        slopes = network.backward(views, trace, slope, named, pull)
        network.first_weight_gradients(shape, rows[batch], slopes, named)
        after = None if following is None else rows[following]
        products = learner.step(rows[batch], labels[batch], weights, products, after, dice[1])

        their_logits, outputs = theirs(torch.tensor(rows[batch]))
        their_value = _torch_loss(torch, their_logits, labels[batch], weights)
        if settings.alignment_loss:
            one, other = (torch.nn.functional.normalize(output) for output in outputs)
            their_value = their_value + settings.alignment_loss * ((one - other) ** 2).sum(dim=1).mean()
        their_optimizer.zero_grad()
        their_value.backward()
        their_optimizer.step()

        assert value == pytest.approx(their_value.item(), rel=1e-4)
        assert _apart(logits, their_logits.detach().numpy()) < 1e-4
        for found, wanted in _pairs(named, theirs):
            assert _apart(found, wanted.grad.numpy()) < 1e-4
        for found, wanted in _pairs(views, theirs):
            assert _apart(found, wanted.detach().numpy()) < 1e-4
    theirs.eval()
    found = fusion.logits(learner.folded(), {"text": rows[:, :TEXT], "image": rows[:, TEXT:]})
    with torch.no_grad():
        assert _apart(found, theirs(torch.tensor(rows))[0].numpy()) < 1e-4


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
    monkeypatch.setattr(first_linears, "PIECE", 500)  # so that there are several, of unequal sizes
    shape = {"early": shapes.early, "late": shapes.late}[kind](TEXT, IMAGE, outputs, hidden, depth)
    rows, labels = _data(classes, multilabel=multilabel)
    weights = losses.class_weights(labels, classes)
    _check_against_torch(shape, trainer.PAPER, rows, labels, weights, threads)


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.3},
        {"alignment_loss": 0.7},
        {"dropout": 0.5, "alignment_loss": 2.0, "depth": 2},
        {"batch": 30},
        {"optimizer": optimizer.AdamW(learning_rate=0.003, weight_decay=0.1)},
    ],
    ids=lambda options: ", ".join(options),
)
def test_options_act_as_in_torch(options: dict[str, Any]) -> None:
    settings = trainer.Settings(**options)
    shape = shapes.late(TEXT, IMAGE, 7, 16, settings.depth, settings.dropout)
    rows, labels = _data(7)
    _check_against_torch(shape, settings, rows, labels, np.ones(7, np.float32), threads=2)


def test_the_alignment_loss_has_the_slope_that_it_should() -> None:
    outputs = np.random.default_rng(0).normal(size=(5, 6))
    _, slope = losses.apart(outputs)
    for place in np.ndindex(*outputs.shape):
        moved = np.zeros_like(outputs)
        moved[place] = 1e-5
        up, down = (losses.apart(outputs + sign * moved)[0] for sign in (1, -1))
        assert slope[place] == pytest.approx((up - down) / 2e-5, abs=1e-6)


def test_it_pulls_the_branches_of_a_pair_together() -> None:
    training, _ = _parts()
    shape = shapes.late(7, 5, 3)

    def apart_after(beta: float) -> float:
        settings = trainer.Settings(alignment_loss=beta, optimizer=optimizer.AdamW(learning_rate=0.01))
        parameters = network.initial(shape, np.random.default_rng(0))
        learner = trainer.Learner(shape, parameters, settings, Team(1))
        for _ in range(25):
            learner.epoch(training, np.ones(3, np.float32), np.random.default_rng(1))
        views = network.views(shape, parameters)
        _, trace = network.forward(shape, views, network.products(shape, views, training.joined))
        return losses.apart(trace.joined)[0]

    assert apart_after(10.0) < 0.8 * apart_after(0.0)


def test_noise_is_drawn_anew_for_every_batch_with_the_deviation_of_its_modality() -> None:
    rows = trainer.Rows(np.ones((20, 300), np.float32), 100, np.arange(20) % 2, units=(10.0, 40.0))
    seen: list[np.ndarray] = []

    class Watched(trainer.Learner):
        def step(self, batch: np.ndarray, *rest: Any) -> Any:
            seen.append(batch.copy())
            return super().step(batch, *rest)

    for noise in (0.05, 0.0):
        shape = shapes.early(100, 200, 1)
        parameters = network.initial(shape, np.random.default_rng(0))
        learner = Watched(shape, parameters, trainer.Settings(noise=noise), Team(1))
        for _ in range(2):
            learner.epoch(rows, np.ones(2, np.float32), np.random.default_rng(1))
    first, second, *without = seen
    assert np.abs(np.sort(first, axis=None) - np.sort(second, axis=None)).max() == 0  # the same generator anew
    np.testing.assert_array_equal(without[0], np.ones((20, 300)))
    assert np.std(first[:, :100]) == pytest.approx(0.05 * 10, rel=0.05)
    assert np.std(first[:, 100:]) == pytest.approx(0.05 * 40, rel=0.05)
    assert abs(np.corrcoef(first[:10].ravel(), first[10:].ravel())[0, 1]) < 0.1


def test_training_ends_when_patience_does() -> None:
    training, validation = _parts()
    shape = shapes.early(7, 5, 3)
    whole, ended = (
        trainer.train(shape, training, validation, trainer.Settings(patience=patience), np.random.default_rng(5))
        for patience in (None, 3)
    )
    assert whole.epochs == 30
    assert ended.epochs == ended.epoch + 3 < 30
    assert (whole.epoch, whole.loss) == (ended.epoch, ended.loss) or whole.epoch > ended.epochs


def test_without_class_weights_the_loss_is_the_plain_mean() -> None:
    training, validation = _parts()
    rare = trainer.Rows(training.joined, 7, np.where(np.arange(200) < 190, 0, training.labels))
    plain, balanced = (
        trainer.train(
            shapes.early(7, 5, 3),
            rare,
            validation,
            trainer.Settings(epochs=1, class_weights=how),
            np.random.default_rng(5),
        )
        for how in ("none", "balanced")
    )
    logits = fusion.logits(plain.head, validation.vectors())
    assert plain.loss == pytest.approx(losses.loss(logits, validation.labels, np.ones(3, np.float32))[0])
    assert plain.loss != pytest.approx(balanced.loss)


def _parts(seed: int = 0) -> tuple[trainer.Rows, trainer.Rows]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 300)
    signs = rng.normal(size=(3, 12))
    rows = (rng.normal(size=(300, 12)) + 0.5 * signs[labels]).astype(np.float32)
    return tuple(trainer.Rows(rows[p], 7, labels[p]) for p in (slice(0, 200), slice(200, 300)))  # type: ignore[return-value]


def test_the_epoch_is_the_one_best_on_validation() -> None:
    training, validation = _parts()
    shape = shapes.early(7, 5, 3)
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
    shape, (training, validation) = shapes.late(7, 5, 3), _parts()
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
