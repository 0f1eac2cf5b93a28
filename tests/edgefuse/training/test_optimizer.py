"""AdamW against torch's own."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse.training import optimizer


def test_steps_are_torchs() -> None:
    torch = pytest.importorskip("torch", reason="compares with torch, which is not installed")
    rng = np.random.default_rng(0)
    ours = rng.normal(size=20_000).astype(np.float32)
    theirs = torch.nn.Parameter(torch.tensor(ours))
    settings = optimizer.AdamW(learning_rate=0.02, weight_decay=0.1)
    their_optimizer = torch.optim.AdamW([theirs], lr=0.02, weight_decay=0.1)
    moments = optimizer.Moments.zeros(len(ours))
    for number in range(1, 21):
        gradients = (ours + rng.normal(size=len(ours))).astype(np.float32)
        theirs.grad = torch.tensor(gradients)  # a copy: the update uses its gradients up
        their_optimizer.step()
        optimizer.update(optimizer.step(settings, number), ours, moments, gradients)
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_the_defaults_are_torchs() -> None:
    torch = pytest.importorskip("torch", reason="compares with torch, which is not installed")
    wanted = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))]).defaults
    ours = optimizer.AdamW()
    assert (ours.learning_rate, ours.epsilon, ours.weight_decay) == (
        wanted["lr"],
        wanted["eps"],
        wanted["weight_decay"],
    )
    assert (ours.first_decay, ours.second_decay) == wanted["betas"]
