"""Heads in training: sizes of the paper, start values and folding as torch has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgefuse.training import network, shapes
from edgefuse_runtimes import fusion

SHAPES = {
    "early": shapes.early(9, 5, 3),
    "late": shapes.late(9, 5, 3),
    "text": shapes.text_only(9, 3),
    "image": shapes.image_only(9, 5, 3),
    "deep early": shapes.early(9, 5, 3, depth=3),
    "deep late": shapes.late(9, 5, 3, hidden=7, depth=2),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_views_cover_the_whole_vector_once(kind: str) -> None:
    shape = SHAPES[kind]
    flat = np.zeros(shape.parameter_count, np.float32)
    views = network.views(shape, flat)
    blocks = [block for branch in views.branches for block in branch]
    for array in [*views.output, *(a for block in blocks for a in (*block.linear, *block.norm))]:
        array += 1
    assert (flat == 1).all()


@pytest.mark.parametrize("kind", SHAPES)
def test_the_weights_of_the_first_linears_come_first_with_the_inputs_as_rows(kind: str) -> None:
    shape = SHAPES[kind]
    flat = np.arange(shape.parameter_count, dtype=np.float32)
    firsts = [branch[0].linear.weight for branch in network.views(shape, flat).branches]
    np.testing.assert_array_equal(np.concatenate([first.T.ravel() for first in firsts]), flat[: shape.first_count])
    assert [first.shape for first in firsts] == [(b.hidden[0], b.stop - b.start) for b in shape.branches]


def test_start_values_are_distributed_as_torchs() -> None:
    torch = pytest.importorskip("torch", reason="compares with torch, which is not installed")
    torch.manual_seed(0)
    shape = shapes.early(300, 100, 7)
    ours = network.views(shape, network.initial(shape, np.random.default_rng(0))).branches[0][0]
    theirs = torch.nn.Linear(400, 128)
    for found, wanted in ((ours.linear.weight, theirs.weight), (ours.linear.bias, theirs.bias)):
        wanted_array = wanted.detach().numpy()
        assert found.shape == wanted_array.shape
        assert np.abs(found).max() <= 1 / np.sqrt(400)
        assert np.std(found) == pytest.approx(np.std(wanted_array), rel=0.15)
    assert (ours.norm.gamma == 1).all()
    assert (ours.norm.beta == 0).all()


def test_dropout_zeroes_its_share_and_keeps_the_mean() -> None:
    shape = shapes.early(9, 5, 3, hidden=4000, dropout=0.25)
    parameters = network.views(shape, network.initial(shape, np.random.default_rng(0)))
    rows = np.random.default_rng(1).normal(size=(8, 14)).astype(np.float32)
    products = network.products(shape, parameters, rows)
    _, with_it = network.forward(shape, parameters, products, np.random.default_rng(2))
    _, without = network.forward(shape, parameters, products)
    kept, on = with_it.branches[0][0].factor, without.branches[0][0].factor
    assert (kept[on == 0] == 0).all()
    assert np.mean(kept[on == 1] == 0) == pytest.approx(0.25, abs=0.02)
    assert kept[on == 1].mean() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("kind", SHAPES)
def test_the_folded_head_is_the_network_with_running_statistics(kind: str) -> None:
    torch = pytest.importorskip("torch", reason="compares with torch, which is not installed")
    shape, rng = SHAPES[kind], np.random.default_rng(0)
    parameters = network.views(shape, rng.normal(size=shape.parameter_count).astype(np.float32))
    running = tuple(
        tuple(
            network.Statistics(rng.normal(size=h).astype(np.float32), rng.uniform(0.5, 2, h).astype(np.float32))
            for h in branch.hidden
        )
        for branch in shape.branches
    )
    rows = rng.normal(size=(20, 14)).astype(np.float32)

    def through(
        branch: shapes.BranchShape, blocks: tuple[network.Block, ...], statistics: tuple[network.Statistics, ...]
    ) -> Any:
        values = torch.tensor(rows[:, branch.start : branch.stop])
        for block, seen in zip(blocks, statistics, strict=True):
            hidden = torch.nn.functional.linear(values, *map(torch.tensor, block.linear)).relu()
            values = torch.nn.functional.batch_norm(
                hidden, *map(torch.tensor, seen), *map(torch.tensor, block.norm), training=False
            )
        return values

    parts = [through(*each) for each in zip(shape.branches, parameters.branches, running, strict=True)]
    wanted = torch.nn.functional.linear(torch.cat(parts, dim=1), *map(torch.tensor, parameters.output))
    head = network.fold(shape, parameters, running)
    found = fusion.logits(head, {"text": rows[:, :9], "image": rows[:, 9:]})
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-4 * np.abs(wanted.numpy()).max())
