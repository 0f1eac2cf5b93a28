"""The first Linear of each branch in training: nearly all of a head's parameters, so nearly all of its time.

A step reads and writes weights and both moments, 7.5 MB for 4096 + 768 inputs and 128 units, and the next batch reads
the weights again. Therefore the weights of some inputs at a time are taken through all of it while they are in a
core's cache: their gradient (a matrix product into scratch memory), AdamW, and their part of the next batch's
products. Parts are added in one order whichever thread made them, so the number of threads changes no digit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefuse.training.optimizer import Moments, Step, update
from edgefuse.training.shapes import Architecture
from edgefuse_runtimes.team import Team

Floats = NDArray[np.float32]

PIECE = 1 << 16
"""Most weights taken at a time: with moments and scratch memory 1 MB, a core's second cache."""


@dataclass(frozen=True)
class Piece:
    """The weights of some inputs of one branch."""

    branch: int
    number: int
    """Among the branch's pieces."""
    start: int
    """First column of the rows that it reads."""
    stop: int
    weights: Floats
    """(stop - start, h)"""
    moments: Moments
    """each (stop - start, h)"""


class FirstLinears:
    """Products and steps of the first Linears, by the threads of a team; numpy's BLAS should use one thread then."""

    def __init__(
        self, architecture: Architecture, parameters: Floats, moments: Moments, largest_batch: int, team: Team
    ) -> None:
        """`parameters` (p,) and `moments` are the head's, laid out as in `network.views`, and change in place."""
        self._team = team
        self._pieces: list[Piece] = []
        self._parts: list[Floats] = []  # of each branch (pieces, n, h): what its pieces add to the product
        begin = 0
        for branch, shape in enumerate(architecture.branches):
            d, h = shape.widths[:2]
            count = math.ceil(d * h / PIECE)
            for number in range(count):
                first, last = d * number // count, d * (number + 1) // count
                span = slice(begin + first * h, begin + last * h)
                form = (last - first, h)
                self._pieces.append(
                    Piece(
                        branch,
                        number,
                        shape.start + first,
                        shape.start + last,
                        parameters[span].reshape(form),
                        Moments(moments.first[span].reshape(form), moments.second[span].reshape(form)),
                    )
                )
            self._parts.append(np.empty((count, largest_batch, h), np.float32))
            begin += d * h

    def products(self, rows: Floats) -> tuple[Floats, ...]:
        """Of each branch rows @ weight.T, (n, h); rows (n, d) are text and image joined."""
        return self._sum(rows, lambda piece: self._multiply(piece, rows))

    def step(
        self, now: Step, rows: Floats, slopes: tuple[Floats, ...], following: Floats | None
    ) -> tuple[Floats, ...] | None:
        """One step of AdamW, given for each branch the loss's derivative (n, h) by its product.

        Returns:
            The products of the `following` batch (m, d) with the new weights, or None without one.
        """

        def work(piece: Piece) -> None:
            gradients = self._team.scratch(piece.weights.size).reshape(piece.weights.shape)
            np.matmul(rows[:, piece.start : piece.stop].T, slopes[piece.branch], out=gradients)
            update(now, piece.weights, piece.moments, gradients)
            if following is not None:
                self._multiply(piece, following)

        if following is None:
            self._each(work)
            return None
        return self._sum(following, work)

    def _multiply(self, piece: Piece, rows: Floats) -> None:
        out = self._parts[piece.branch][piece.number, : len(rows)]  # (n, h)
        np.matmul(rows[:, piece.start : piece.stop], piece.weights, out=out)

    def _sum(self, rows: Floats, work: Callable[[Piece], None]) -> tuple[Floats, ...]:
        self._each(work)
        return tuple(parts[:, : len(rows)].sum(axis=0) for parts in self._parts)  # (n, h) each

    def _each(self, work: Callable[[Piece], None]) -> None:
        self._team.each(len(self._pieces), lambda number: work(self._pieces[number]))
