"""Heads in training: sizes of the paper, start values and folding as torch has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgefuse.training import network
from edgefuse_runtimes import fusion

SHAPES = {
    "early": network.early(9, 5, 3),
    "late": network.late(9, 5, 3),
    "text": network.text_only(9, 3),
    "image": network.image_only(9, 5, 3),
}


@pytest.mark.parametrize(
    ("text", "image", "outputs", "early", "late"),
    [
        (4096, 768, 1, 623105, 311809),
        (4096, 768, 2, 623234, 311938),
        (4096, 768, 7, 623879, 312583),
        (512, 512, 1, 131585, 66049),
        (512, 512, 2, 131714, 66178),
        (512, 512, 7, 132359, 66823),
    ],
)
def test_heads_have_the_papers_sizes(text: int, image: int, outputs: int, early: int, late: int) -> None:
    assert network.early(text, image, outputs).parameter_count == early
    assert network.late(text, image, outputs).parameter_count == late


@pytest.mark.parametrize("kind", SHAPES)
def test_views_cover_the_whole_vector_once(kind: str) -> None:
    shape = SHAPES[kind]
    flat = np.zeros(shape.parameter_count, np.float32)
    views = network.views(shape, flat)
    for array in [*views.output, *(a for block in views.blocks for a in (*block.linear, *block.norm))]:
        array += 1
    assert (flat == 1).all()


def test_start_values_are_distributed_as_torchs() -> None:
    torch = pytest.importorskip("torch", reason="compares with torch, which is not installed")
    torch.manual_seed(0)
    shape = network.early(300, 100, 7)
    ours = network.views(shape, network.initial(shape, np.random.default_rng(0))).blocks[0]
    theirs = torch.nn.Linear(400, 128)
    for found, wanted in ((ours.linear.weight, theirs.weight), (ours.linear.bias, theirs.bias)):
        wanted_array = wanted.detach().numpy()
        assert found.shape == wanted_array.shape
        assert np.abs(found).max() <= 1 / np.sqrt(400)
        assert np.std(found) == pytest.approx(np.std(wanted_array), rel=0.15)
    assert (ours.norm.gamma == 1).all()
    assert (ours.norm.beta == 0).all()


def test_dropout_zeroes_its_share_and_keeps_the_mean() -> None:
    shape = network.Architecture(network.early(9, 5, 3, hidden=4000).blocks, 3, dropout=0.25)
    parameters = network.views(shape, network.initial(shape, np.random.default_rng(0)))
    rows = np.random.default_rng(1).normal(size=(8, 14)).astype(np.float32)
    _, with_it = network.forward(shape, parameters, rows, np.random.default_rng(2))
    _, without = network.forward(shape, parameters, rows)
    kept, on = with_it.blocks[0].factor, without.blocks[0].factor
    assert (kept[on == 0] == 0).all()
    assert np.mean(kept[on == 1] == 0) == pytest.approx(0.25, abs=0.02)
    assert kept[on == 1].mean() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("kind", SHAPES)
def test_the_folded_head_is_the_network_with_running_statistics(kind: str) -> None:
    torch = pytest.importorskip("torch", reason="compares with torch, which is not installed")
    shape, rng = SHAPES[kind], np.random.default_rng(0)
    parameters = network.views(shape, rng.normal(size=shape.parameter_count).astype(np.float32))
    running = tuple(
        network.Statistics(
            rng.normal(size=block.hidden).astype(np.float32),
            rng.uniform(0.5, 2, block.hidden).astype(np.float32),
        )
        for block in shape.blocks
    )
    rows = rng.normal(size=(20, 14)).astype(np.float32)

    def through(block: network.BlockShape, values: network.Block, statistics: network.Statistics) -> Any:
        inputs = torch.tensor(rows[:, block.start : block.stop])
        hidden = torch.nn.functional.linear(inputs, *map(torch.tensor, values.linear)).relu()
        return torch.nn.functional.batch_norm(
            hidden, *map(torch.tensor, statistics), *map(torch.tensor, values.norm), training=False
        )

    parts = [through(*each) for each in zip(shape.blocks, parameters.blocks, running, strict=True)]
    wanted = torch.nn.functional.linear(torch.cat(parts, dim=1), *map(torch.tensor, parameters.output))
    head = network.fold(shape, parameters, running)
    found = fusion.logits(head, {"text": rows[:, :9], "image": rows[:, 9:]})
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-4)
