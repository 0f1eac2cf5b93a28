"""How a trained head does on the rows that nothing was chosen by."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edgefuse.embeddings import Table, open_table, table_digest
from edgefuse.heads import ARRAYS, EVALUATION, PARTS, Head, open_head
from edgefuse.metrics import classification as metrics
from edgefuse_runtimes import fusion
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256, write_json

SCHEMA = 1


def evaluate_folder(head_folder: Path, table_folder: Path | None = None) -> dict[str, Any]:
    """Evaluate, write `evaluation.json` into the head folder and return its content.

    Raises:
        BadInput: there is no head, its table was moved or changed, or has no test rows.
    """
    head = open_head(head_folder)
    folder = table_folder or head.table_path
    if folder is None or not folder.exists():
        raise BadInput(
            f"The embedding table {folder} is not there, which {head_folder} was trained on; "
            f"say where it is now with 'edgefuse evaluate {head_folder} --table V'."
        )
    evaluation = evaluate(head, open_table(folder)) | {"head_sha256": sha256(head_folder / ARRAYS)}
    write_json(head_folder / EVALUATION, evaluation)
    return evaluation


def evaluate(head: Head, table: Table) -> dict[str, Any]:
    """Figures of the majority class, both baselines and the fused head on the table's test rows.

    Raises:
        BadInput: the head was trained on another table, or the table has no test rows.
    """
    if table_digest(table) != head.table_sha256:
        raise BadInput(
            f"{table.folder} is not the embedding table that the head was trained on; "
            "name that table with --table, or train again on this one."
        )
    test = np.flatnonzero(table.splits == "test")
    if not len(test):
        raise BadInput(f"{table.folder} has no test rows; extract it with more samples.")
    labels = table.labels[test]  # (n,)
    figures = {"majority": metrics.majority(table.labels[table.splits == "train"], labels)}
    for part in reversed(PARTS):
        logits = head.logits(part, table.text[test], table.image[test])  # (n, C)
        figures[part] = metrics.figures(labels, fusion.probabilities(logits).argmax(axis=1))
    counts = Counter(table.classes[label] for label in labels.tolist())
    return {
        "schema": SCHEMA,
        "dataset": head.dataset,
        "drawn": head.dataset["drawn"],
        "table_sha256": head.table_sha256,
        "split": {"part": "test", "seed": table.split_seed},
        "n": len(test),
        "groups": len(set(table.groups[test].tolist())),
        "rows_per_class": {name: counts[name] for name in table.classes},
        "metrics": {part: asdict(found) for part, found in figures.items()},
    }
