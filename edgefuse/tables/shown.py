"""What a table is, in lines for people."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from edgefuse.embeddings.cost import cost_sentences
from edgefuse.embeddings.table import Table
from edgefuse.leaks import leak_sentences
from edgefuse.splits.grouped import PARTS, split_words
from edgefuse.training.report import DRAWN

MOST_VALUES = 12
"""Values of a subgroup that are listed."""


def shown(table: Table) -> list[str]:
    """Rows, parts, classes, encoders, data set, leaks and cost."""
    dataset = table.dataset
    divided = split_words(table.dataset, table.split_seed)
    parts = Counter(table.splits.tolist())
    lines = [
        f"{table.folder}: {len(table.ids)} rows of {len(set(table.groups.tolist()))} groups",
        f"parts        {', '.join(f'{part} {parts[part]}' for part in PARTS)} ({divided})",
        f"classes      {_counted(_class_counts(table))}{' (any number may hold)' if table.multilabel else ''}",
        *(f"{f'by {name}':<12} {_values(Counter(values.tolist()))}" for name, values in table.subgroups.items()),
        *(f"{modality:<12} {_encoder(table.encoders[modality])}" for modality in ("image", "text")),
        *([f"views        {table.view_count} of each picture, to learn from"] if table.view_count else []),
        f"data set     {dataset['name']} ({dataset['licence']})",
        *(leak_sentences(dataset) or ["leaks        none told"]),
    ]
    if dataset.get("drawn"):
        lines.append(DRAWN)
    return lines + (cost_sentences(table.cost) or ["What the encoders took is not known."])


def _class_counts(table: Table) -> Counter[str]:
    counts = table.labels.sum(axis=0) if table.multilabel else np.bincount(table.labels, minlength=len(table.classes))
    return Counter(dict(zip(table.classes, counts.tolist(), strict=True)))


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _values(counts: Counter[str]) -> str:
    listed = Counter(dict(sorted(counts.items())[:MOST_VALUES]))
    return _counted(listed) + (f", and {len(counts) - MOST_VALUES} more" if len(counts) > MOST_VALUES else "")


def _encoder(identity: dict[str, Any]) -> str:
    what = identity.get("name") or f"file {identity.get('sha256', '')[:12]}, pooling {identity.get('pooling')}"
    return f"{identity['width']} wide, {what}{' (imported, as said)' if identity.get('imported') else ''}"
