"""The published numbers that a study's own stand beside.

Restrepo et al., "Multimodal Deep Learning for Low-Resource Settings: A Vector Embedding Alignment Approach for
Healthcare Applications", medRxiv 2024.06.03.24308401. They are the best epoch on *test* rows of a single run.
"""

from __future__ import annotations

from typing import NamedTuple

DATASETS = ("BRSET", "HAM10000", "SatelliteBench")


class Score(NamedTuple):
    """Of Table 1."""

    accuracy: float
    macro_f1: float | None


class Epochs(NamedTuple):
    """Of thirty, the one that is best on test rows: of which Table 1 prints the figures."""

    accuracy: int
    macro_f1: int


class Gain(NamedTuple):
    """What the paper's sweep over the shift shows: a macro-F1 and the best one over 21 shifts, on test rows."""

    method: str
    fusion: str
    unshifted: float
    best: float
    shift: float | None
    """Where the best is; None: the paper does not say."""


class Megabytes(NamedTuple):
    """Of Table 2, in 2^20 bytes."""

    head: float
    read_per_epoch: float


class Seconds(NamedTuple):
    """Of Table 3, for an epoch on two processor cores; the encoders' own time counts for raw data only."""

    training: float
    inference: float


METHODS = ("DINOv2+LLaMA-2", "CLIP", "raw BERT+ViT")

_TABLE_1 = {
    ("DINOv2+LLaMA-2", "early"): ((0.987, 0.944), (0.798, 0.713), (0.657, 0.655)),
    ("DINOv2+LLaMA-2", "late"): ((0.987, 0.946), (0.815, 0.729), (0.644, 0.632)),
    ("CLIP", "early"): ((0.974, 0.886), (0.822, 0.714), (0.734, 0.733)),
    ("CLIP", "late"): ((0.975, 0.885), (0.813, 0.711), (0.728, 0.725)),
    ("raw BERT+ViT", "early"): ((0.956, 0.776), (0.739, 0.626), (0.577, 0.570)),
    ("raw BERT+ViT", "late"): ((0.955, 0.760), (0.743, 0.626), (0.571, 0.565)),
}
_BEST_EPOCHS = {
    ("DINOv2+LLaMA-2", "early"): ((4, 4), (28, 26), (13, 13)),
    ("DINOv2+LLaMA-2", "late"): ((13, 13), (12, 14), (18, 18)),
    ("CLIP", "early"): ((19, 19), (29, 28), (30, 30)),
    ("CLIP", "late"): ((14, 14), (18, 28), (24, 24)),
    ("raw BERT+ViT", "early"): ((19, 26), (8, 26), (26, 11)),
    ("raw BERT+ViT", "late"): ((11, 7), (14, 12), (21, 21)),
}
SWEEPS = {
    "BRSET": Gain("DINOv2+LLaMA-2", "early", 0.944, 0.949, 0.8),
    "HAM10000": Gain("CLIP", "early", 0.715, 0.745, None),
    "SatelliteBench": Gain("CLIP", "late", 0.75, 0.80, None),
}
"""The gains that the paper points out, by data set."""
RERUN_DIFFERENCE = 0.012
"""Macro-F1 by which two runs of one sweep of the paper differ, about."""
GAIN_OF_CHANCE = 0.022
"""Macro-F1 that the best of 21 shifts gains by chance alone where runs differ by that, about."""
VARIANCES = {
    "BRSET": (5.4e-3, 7.9e-5),
    "HAM10000": (5.6e-2, 6.9e-4),
    "SatelliteBench": (1.7e-4, 3.2e-2),
    "COCO-QA": (3.1e-3, 1.7e-2),
    "Fakeddit": (2.5e-2, 2.3e-3),
    "Recipes5k": (1.9e-2, 8.2e-3),
}
"""Of CLIP's text and image vectors, the mean over the first two principal components of both together: as the authors'
notebooks have them, since the paper's text misprints several by a factor of ten."""
MAJORITY = dict(zip(DATASETS, (0.935, 0.669, 0.538), strict=True))
"""Accuracy of the most frequent class."""

_TABLE_2_HEAD = {
    ("DINOv2+LLaMA-2", "early"): 2.38,
    ("DINOv2+LLaMA-2", "late"): 1.19,
    ("CLIP", "early"): 0.50,
    ("CLIP", "late"): 0.25,
    ("raw BERT+ViT", "early"): 747.94,
    ("raw BERT+ViT", "late"): 747.57,
}
_TABLE_2_READ = {
    "DINOv2+LLaMA-2": (241.48, 148.87, 17.37),
    "CLIP": (50.88, 31.51, 3.66),
    "raw BERT+ViT": (7471.78, 4600.85, 537.48),
}
_TABLE_3 = {
    ("DINOv2+LLaMA-2", "early"): ((1.54, 0.40), (1.02, 0.28), (0.25, 0.11)),
    ("DINOv2+LLaMA-2", "late"): ((1.85, 0.72), (1.20, 0.42), (0.28, 0.13)),
    ("CLIP", "early"): ((0.95, 0.28), (0.65, 0.20), (0.16, 0.09)),
    ("CLIP", "late"): ((1.64, 0.50), (1.12, 0.42), (0.22, 0.12)),
    ("raw BERT+ViT", "early"): ((538.38, 134.14), (260.08, 64.66), (28.64, 9.63)),
    ("raw BERT+ViT", "late"): ((543.11, 132.89), (263.79, 66.08), (30.34, 10.12)),
}


def score(dataset: str, method: str, fusion: str) -> Score:
    """Accuracy and macro-F1."""
    return Score(*_TABLE_1[method, fusion][DATASETS.index(dataset)])


def best_epochs(dataset: str, method: str, fusion: str) -> Epochs:
    """The epochs, counted from 1, of the accuracy and of the macro-F1 that `score` gives."""
    return Epochs(*_BEST_EPOCHS[method, fusion][DATASETS.index(dataset)])


def megabytes(dataset: str, method: str, fusion: str) -> Megabytes:
    """The head, and what is read of embeddings or pictures in one training epoch."""
    return Megabytes(_TABLE_2_HEAD[method, fusion], _TABLE_2_READ[method][DATASETS.index(dataset)])


def seconds(dataset: str, method: str, fusion: str) -> Seconds:
    """An epoch of training and one of inference."""
    return Seconds(*_TABLE_3[method, fusion][DATASETS.index(dataset)])
