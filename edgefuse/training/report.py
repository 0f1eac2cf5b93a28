"""Figures as the few lines that `train` and `evaluate` print."""

from __future__ import annotations

from collections.abc import Mapping

DRAWN = "drawn example: not an accuracy figure for any real use"

NAMES = {"majority": "majority", "text_only": "text-only", "image_only": "image-only", "fused": "fused"}
"""Of every row, in the order of the table."""


FIGURES = ("accuracy", "macro_f1")


def spread_lines(spread: Mapping[str, Mapping[str, Mapping[str, float]]], seeds: int) -> list[str]:
    """A header and a line for both baselines and the fused head: mean and standard deviation over the seeds."""
    lines = [f"{f'over {seeds} seeds':<18}{'accuracy':>16}{'macro-F1':>16}"]
    for key, name in NAMES.items():
        if key in spread:
            cells = (f"{spread[key][figure]['mean']:.3f} ± {spread[key][figure]['sd']:.3f}" for figure in FIGURES)
            lines.append(f"{name:<18}{''.join(f'{cell:>16}' for cell in cells)}")
    return lines


def figure_lines(figures: Mapping[str, Mapping[str, float]], n: int) -> list[str]:
    """A header and a line for the majority class, both baselines and the fused head, over the same n rows."""
    lines = [f"{'':<12}{'rows':>6}{'accuracy':>10}{'macro-F1':>10}"]
    for key, name in NAMES.items():
        found = figures[key]
        lines.append(f"{name:<12}{n:>6}{found['accuracy']:>10.3f}{found['macro_f1']:>10.3f}")
    return lines
