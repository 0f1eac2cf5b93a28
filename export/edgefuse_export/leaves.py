"""Pictures drawn at random that look, to an encoder, more like photographs than any simple drawing does.

Leaves of all sizes fall on each other ("dead leaves": Lee, Mumford and Huang 2001, doi:10.1023/A:1011109015675), which
gives edges and sizes as photographs have them, and each is textured with noise of a photograph's spectrum, 1 / f. They
show nothing, and are for calibration alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

SIDE = 256
TEXTURES = 6
"""How many textures the leaves of one picture share."""
BLURRED = 12
"""Pixels around a leaf that its soft edge may reach."""


def draw_leaves(seed: int) -> Image.Image:
    """An RGB picture of SIDE x SIDE pixels; the same seed gives the same picture."""
    rng = np.random.default_rng(seed)
    ground = _color(rng)
    textures = [_texture(rng, ground) for _ in range(TEXTURES)]
    picture = textures[0]
    for _ in range(int(rng.integers(10, 160))):
        texture = textures[int(rng.integers(TEXTURES))]
        mask, box = _leaf(rng)
        picture.paste(texture.crop(box), box, mask)
    return picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 1.2))))


def _color(rng: np.random.Generator) -> NDArray[np.float64]:
    """A colour (3,), more often dull than bright, as most things are."""
    return np.clip(rng.uniform(25, 230) + rng.normal(0, 28, 3), 0, 255)


def _texture(rng: np.random.Generator, ground: NDArray[np.float64]) -> Image.Image:
    """Noise around a colour that is mixed of `ground` and one of its own; the channels go mostly together."""
    share = rng.uniform(0, 1)
    color = share * ground + (1 - share) * _color(rng)  # (3,)
    mix = np.eye(3) * rng.uniform(0, 0.5) + rng.uniform(0.5, 1, 3)  # (3, 3)
    noise = _noise(rng, rng.uniform(0.8, 1.7)) @ mix.T * rng.uniform(2, 30)  # (h, w, 3)
    return Image.fromarray(np.clip(color + noise, 0, 255).astype(np.uint8))


def _noise(rng: np.random.Generator, slope: float) -> NDArray[np.float64]:
    """Noise (SIDE, SIDE, 3) of variance 1 whose amplitudes fall with frequency^slope."""
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None])  # (h, w // 2 + 1)
    frequency[0, 0] = np.inf  # no mean
    white = np.ascontiguousarray(np.moveaxis(rng.normal(size=(SIDE, SIDE, 3)), 2, 0))  # (3, h, w)
    noise = np.fft.irfft2(np.fft.rfft2(white) / frequency**slope, s=(SIDE, SIDE))
    return np.moveaxis(noise / noise.std(axis=(1, 2), keepdims=True), 0, 2)


def _leaf(rng: np.random.Generator) -> tuple[Image.Image, tuple[int, int, int, int]]:
    """Where a leaf lies: an ellipse or a polygon, small ones more often, its edge sharp or soft.

    Returns:
        A mask, and the box of the picture that it is for: left, top, right, bottom.
    """
    radius = min(6 / rng.uniform(0.02, 1) ** 0.8, SIDE / 2)
    corners = 40 if rng.random() < 0.4 else int(rng.integers(3, 8))
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners)) if corners < 40 else np.linspace(0, 2 * np.pi, corners)
    x, y = radius * np.cos(angles), radius * rng.uniform(0.4, 1) * np.sin(angles)
    turn, (left, top) = rng.uniform(0, 2 * np.pi), rng.uniform(-20, SIDE + 20, 2)
    outline = np.stack([left + x * np.cos(turn) - y * np.sin(turn), top + x * np.sin(turn) + y * np.cos(turn)], axis=1)
    mask = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).polygon([(float(px), float(py)) for px, py in outline], fill=255)
    softness = float(rng.choice([0, 0.7, 2.5]))
    low = np.clip(outline.min(axis=0) - BLURRED, 0, SIDE - 1).astype(int)  # (2,)
    high = np.clip(outline.max(axis=0) + BLURRED, low + 1, SIDE).astype(int)  # (2,)
    box = (*low.tolist(), *high.tolist())
    mask = mask.crop(box)
    return mask.filter(ImageFilter.GaussianBlur(softness)) if softness else mask, box
