"""Drawn pictures for calibration: their noise and the edges of their leaves."""

from __future__ import annotations

import numpy as np

from edgefuse_export.leaves import SIDE, _leaf, _noise, draw_leaves


def test_the_same_seed_draws_the_same_picture() -> None:
    one, same, other = (np.asarray(draw_leaves(seed)) for seed in (1, 1, 2))
    assert one.shape == (SIDE, SIDE, 3)
    assert (one == same).all()
    assert (one != other).any()


def test_amplitudes_of_noise_fall_with_a_power_of_the_frequency() -> None:
    white = np.random.default_rng(0).normal(size=(SIDE, SIDE, 3))
    across = np.fft.fftfreq(SIDE)
    frequency = np.hypot(across[:, None], across[None])[..., None]
    frequency[0, 0] = np.inf
    wanted = np.fft.ifft2(np.fft.fft2(white, axes=(0, 1)) / frequency**1.3, axes=(0, 1)).real
    np.testing.assert_allclose(_noise(np.random.default_rng(0), 1.3), wanted / wanted.std(axis=(0, 1)), atol=1e-10)


def test_no_soft_edge_is_cut_off() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        mask, (left, top, right, bottom) = _leaf(rng)
        values = np.asarray(mask)
        assert values.shape == (bottom - top, right - left)
        for edge, at_border in (
            (values[0], top == 0),
            (values[-1], bottom == SIDE),
            (values[:, 0], left == 0),
            (values[:, -1], right == SIDE),
        ):
            assert at_border or edge.max() == 0
