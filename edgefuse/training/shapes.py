"""The shapes of heads: branches of blocks side by side, in the order and widths of Restrepo et al.

Block(d, h) = Linear(d, h) -> ReLU -> Dropout(p) -> BatchNorm(h), in this order. A branch is one block, or several one
after the other; early fusion has one branch over text and image joined, late fusion one each. The branches' outputs,
joined, go through a last Linear.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from edgefuse_runtimes.spec import Modality


@dataclass(frozen=True)
class BranchShape:
    """One branch: it reads columns `start` to `stop` of text and image joined."""

    reads: tuple[Modality, ...]
    start: int
    stop: int
    hidden: tuple[int, ...]
    """Units of each of its blocks."""

    @property
    def widths(self) -> tuple[int, ...]:
        """What its blocks read, and what the last one gives."""
        return (self.stop - self.start, *self.hidden)


@dataclass(frozen=True)
class Architecture:
    """The branches side by side, and the number C of logits."""

    branches: tuple[BranchShape, ...]
    outputs: int
    dropout: float = 0.0

    @property
    def hidden(self) -> int:
        """Inputs H of the last Linear."""
        return sum(branch.hidden[-1] for branch in self.branches)

    @property
    def first_count(self) -> int:
        """Weights of the branches' first Linears."""
        return sum(branch.widths[0] * branch.widths[1] for branch in self.branches)

    @property
    def parameter_count(self) -> int:
        """Trained numbers: weights and biases of every Linear, gamma and beta of every BatchNorm."""
        blocks = sum((d + 3) * h for branch in self.branches for d, h in pairwise(branch.widths))
        return blocks + (self.hidden + 1) * self.outputs


def early(
    text_width: int, image_width: int, outputs: int, hidden: int = 128, depth: int = 1, dropout: float = 0.0
) -> Architecture:
    """One branch over (text, image)."""
    both = BranchShape(("text", "image"), 0, text_width + image_width, (hidden,) * depth)
    return Architecture((both,), outputs, dropout)


def late(
    text_width: int, image_width: int, outputs: int, hidden: int = 64, depth: int = 1, dropout: float = 0.0
) -> Architecture:
    """A branch for the text and a branch for the image."""
    text = BranchShape(("text",), 0, text_width, (hidden,) * depth)
    image = BranchShape(("image",), text_width, text_width + image_width, (hidden,) * depth)
    return Architecture((text, image), outputs, dropout)


def text_only(text_width: int, outputs: int, hidden: int = 128, depth: int = 1, dropout: float = 0.0) -> Architecture:
    """The baseline that sees the note alone."""
    return Architecture((BranchShape(("text",), 0, text_width, (hidden,) * depth),), outputs, dropout)


def image_only(
    text_width: int, image_width: int, outputs: int, hidden: int = 128, depth: int = 1, dropout: float = 0.0
) -> Architecture:
    """The baseline that sees the picture alone; the columns of the text are there but not read."""
    image = BranchShape(("image",), text_width, text_width + image_width, (hidden,) * depth)
    return Architecture((image,), outputs, dropout)
