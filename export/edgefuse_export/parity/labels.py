"""Whether a head answers the same from the source's vectors as from the exported file's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgefuse.heads import Head, open_head
from edgefuse.kits.kit import Kit
from edgefuse.labels import SEPARATOR, names_of, to_numbers
from edgefuse.metrics.bootstrap import LEVEL, Draws, draw, interval
from edgefuse.metrics.classification import (
    Doubles,
    accuracy,
    class_f1,
    count,
    counted,
    decide,
    holds,
    macro_f1,
    outcomes,
)
from edgefuse_export.parity.compare import standard_error
from edgefuse_export.parity.samples import Samples
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.spec import EncoderSpec, Modality

Floats = NDArray[np.float32]
Classes = NDArray[np.int64]

RESAMPLES, SEED = 1000, 0
"""Of the bootstrap."""


class Pair(NamedTuple):
    """The vectors of one encoder for every sample."""

    source: Floats
    """(n, d)"""
    exported: Floats
    """(n, d)"""


@dataclass(frozen=True)
class Judge:
    """A head that judges an export, and what it is called."""

    head: Head
    name: str

    def content(self) -> str:
        """A hash of all that it answers by, and of its name."""
        digest = hashlib.sha256(json.dumps([self.name, self.head.description()], sort_keys=True).encode())
        for name, array in sorted(self.head.arrays().items()):
            digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def check(self, spec: EncoderSpec) -> None:
        """Refuse an encoder whose vectors the head cannot read.

        Raises:
            BadInput: their widths differ.
        """
        width = self.head.encoders[spec.modality]["width"]
        if width != spec.width:
            raise BadInput(
                f"{self.name[0].upper()}{self.name[1:]} reads {spec.modality} vectors {width} wide, and this encoder "
                f"gives {spec.width}; name a head of the same kind of encoders, or leave it out."
            )


def open_judge(head: Path | None, kit: Path | None) -> Judge | None:
    """The head in a head folder or in a kit; None where neither is named.

    Raises:
        BadInput: both are named, or the one that is cannot be read.
    """
    if head is not None and kit is not None:
        raise BadInput("Both --head and --kit are given, and one head is to judge; leave one of them out.")
    if head is not None:
        return Judge(open_head(head), f"the head {head.resolve().name}")
    if kit is not None:
        opened = Kit.open(kit)
        return Judge(opened.head, f"the kit {opened.name} {opened.version}")
    return None


def compare_labels(
    judge: Judge, samples: Samples, image: Pair, text: Pair, files: Mapping[Modality, str]
) -> dict[str, Any]:
    """What the head answers from source and from exported vectors.

    Args:
        judge: the head.
        samples: n of them.
        image: vectors of their pictures.
        text: vectors of their notes.
        files: sha256 of the exported files, by modality.

    Returns:
        Plain JSON types: the head, the bootstrap's settings, and three "comparisons". In "image" only the picture's
        vector differs and the note's is the exported file's on both sides; "text" is the other way round; in "both"
        both differ.
    """
    head = judge.head
    labels, known = _labels(head, samples)  # (n,) or (n, K), and (n,)
    exported = head.probabilities(text.exported, image.exported)  # (n, K)
    sides: dict[str, Floats] = {
        "image": head.probabilities(text.exported, image.source),
        "text": head.probabilities(text.source, image.exported),
        "both": head.probabilities(text.source, image.source),
    }
    draws = draw(np.array(samples.groups)[known], RESAMPLES, SEED) if known.any() else None
    return {
        "head": {
            "name": judge.name,
            "classes": list(head.classes),
            "drawn": bool(head.dataset.get("drawn")),
            "trained_on_these_files": {
                modality: head.encoders[modality].get("sha256") == digest for modality, digest in files.items()
            },
        },
        "samples": {
            "count": len(samples.ids),
            "labelled": int(known.sum()),
            "pictures_from": samples.pictures_from,
            "notes_from": samples.notes_from,
        },
        "bootstrap": {
            "resamples": RESAMPLES,
            "seed": SEED,
            "interval": LEVEL,
            "units": len(set(np.array(samples.groups)[known])),
        },
        "comparisons": {
            name: _comparison(head, samples, labels, known, source, exported, draws) for name, source in sides.items()
        },
    }


def _labels(head: Head, samples: Samples) -> tuple[Classes, NDArray[np.bool_]]:
    """Class numbers (n,) of the samples, or of a multilabel head 0 and 1 (n, K), and which of them are known (n,).

    A multilabel label may be empty: no class holds. Where all of them are, nothing is known.
    """
    named = [names_of(label, multilabel=head.multilabel) for label in samples.labels]
    known = np.array([set(names) <= set(head.classes) for names in named], bool) & any(samples.labels)
    texts = [label if is_known else head.classes[0] for label, is_known in zip(samples.labels, known, strict=True)]
    return to_numbers(texts, head.classes, multilabel=head.multilabel), known


def _comparison(
    head: Head,
    samples: Samples,
    labels: Classes,
    known: NDArray[np.bool_],
    source: Floats,
    exported: Floats,
    draws: Draws | None,
) -> dict[str, Any]:
    """Agreement, flips and figures of two sets of probabilities (n, K)."""
    before, after = (decide(side, multilabel=head.multilabel) for side in (source, exported))  # (n,) or (n, K) each
    same = (before == after).reshape(len(before), -1).all(axis=1)  # (n,)
    found: dict[str, Any] = {
        "agreement": {"mean": float(same.mean()), "standard_error": standard_error(same.astype(np.float64))},
        "flips": [
            {
                "id": samples.ids[k],
                "label": samples.labels[k] or None,
                "source": _answer(head, source[k]),
                "exported": _answer(head, exported[k]),
            }
            for k in np.flatnonzero(~same)
        ],
        "per_class": _per_class(head.classes, labels, known, before, after),
    }
    if draws is not None:
        totals = [draws.totals(outcomes(labels[known], side[known], len(head.classes))) for side in (before, after)]
        sides = [count(each) for each in totals]
        found["accuracy"] = _with_intervals(*map(accuracy, sides))
        found["macro_f1"] = _with_intervals(*map(macro_f1, sides))
    return found


def _answer(head: Head, probabilities: Floats) -> dict[str, Any]:
    """Its label, and the probability of that; of a multilabel one how sure it is of the class it is least sure of."""
    label = SEPARATOR.join(head.answer(probabilities))
    sure = np.maximum(probabilities, 1 - probabilities).min() if head.multilabel else probabilities.max()
    return {"label": label, "probability": round(float(sure), 6)}


def _per_class(
    names: Sequence[str], labels: Classes, known: NDArray[np.bool_], before: Classes, after: Classes
) -> list[dict[str, Any]]:
    """For each class: rows that the source's vectors put there, how many stayed there, and F1 of both sides."""
    truth, was, now = (holds(each, len(names)) == 1 for each in (labels, before, after))  # (n, K) each
    f1 = [class_f1(counted(labels[known], answers[known], len(names))) for answers in (before, after)]  # (K,) twice
    return [
        {
            "label": name,
            "answered": int(was[:, k].sum()),
            "stayed": int((was & now)[:, k].sum()),
            "labelled": int(truth[known, k].sum()),
            "f1": {side: None if np.isnan(of[k]) else float(of[k]) for side, of in zip(SIDES, f1, strict=True)},
        }
        for k, name in enumerate(names)
    ]


SIDES = ("source", "exported")


def _with_intervals(before: Doubles, after: Doubles) -> dict[str, dict[str, float]]:
    """A figure (1 + B,) of both sides and its difference (exported less source), each with its interval."""
    found = {}
    for name, values in zip((*SIDES, "difference"), (before, after, after - before), strict=True):
        value = float(values[0])
        low, high = interval(values) or (value, value)  # of a single group, which leaves nothing to draw
        found[name] = {"value": value, "low": low, "high": high}
    return found
