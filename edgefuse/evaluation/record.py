"""evaluation.json: the figures of a head on the test rows of its table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgefuse.embeddings.table import Table, open_table, table_digest
from edgefuse.evaluation.cost import cost_of
from edgefuse.evaluation.judging import DRAWS, judge
from edgefuse.evaluation.predictions import predict
from edgefuse.heads import ARRAYS, EVALUATION, Head, open_head
from edgefuse.leaks import leak_sentences
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256, write_json

SCHEMA = 2
"""1 had accuracy and macro-F1 under `metrics`, where 2 has them too."""


def evaluate_folder(head_folder: Path, table_folder: Path | None = None, *, bootstrap: int = DRAWS) -> dict[str, Any]:
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
    found = evaluate(head, open_table(folder), bootstrap=bootstrap)
    evaluation = found | {"head_sha256": sha256(head_folder / ARRAYS)}
    write_json(head_folder / EVALUATION, evaluation)
    return evaluation


def evaluate(head: Head, table: Table, *, bootstrap: int = DRAWS) -> dict[str, Any]:
    """Figures of the majority class, both baselines and the fused head on the table's test rows.

    Raises:
        BadInput: the head was trained on another table, or the table has no test rows.
    """
    if table_digest(table) != head.table_sha256:
        raise BadInput(
            f"{table.folder} is not the embedding table that the head was trained on; "
            "name that table with --table, or train again on this one."
        )
    return {
        "schema": SCHEMA,
        "dataset": head.dataset,
        "drawn": head.dataset["drawn"],
        "table_sha256": head.table_sha256,
        "split": {"part": "test", "seed": table.split_seed},
        "warnings": leak_sentences(head.dataset),
        **judge(predict(head, table, "test"), bootstrap=bootstrap),
        "cost": cost_of(head, table),
    }
