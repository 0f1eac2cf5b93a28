"""The heads of the method as torch modules, so that backbones below them can learn."""

from __future__ import annotations

from typing import Any

from edgefuse.extras import importable
from edgefuse.heads import Fusion

EARLY_WIDTH, LATE_WIDTH = 128, 64


def make_head(fusion: Fusion, widths: tuple[int, int], outputs: int) -> Any:
    """A head in torch's default start: its blocks by what they read, and "last", for C = `outputs` logits."""
    nn = importable("torch", "raw").nn

    def block(inputs: int, hidden: int) -> Any:
        return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.BatchNorm1d(hidden))

    if fusion == "early":
        blocks = {"joined": block(sum(widths), EARLY_WIDTH)}
    else:
        blocks = {"text": block(widths[0], LATE_WIDTH), "image": block(widths[1], LATE_WIDTH)}
    return nn.ModuleDict({**blocks, "last": nn.Linear(EARLY_WIDTH, outputs)})


def logits(head: Any, text: Any, image: Any) -> Any:
    """Logits (n, C) of text vectors (n, d_t) and image vectors (n, d_i)."""
    torch = importable("torch", "raw")
    if "joined" in head:
        hidden = head["joined"](torch.cat([text, image], dim=1))  # (n, 128)
    else:
        hidden = torch.cat([head["text"](text), head["image"](image)], dim=1)  # (n, 64 + 64)
    return head["last"](hidden)


def parameter_count(head: Any) -> int:
    """Trained numbers."""
    return sum(parameter.numel() for parameter in head.parameters())
