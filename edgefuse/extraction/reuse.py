"""Taking over the vectors that another table has of the same pictures, or the same notes, from the same encoder.

So a second text encoder, another template or another split costs no second run over the pictures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from edgefuse.embeddings.cost import FILE as COST
from edgefuse.embeddings.cost import read_cost
from edgefuse.embeddings.mapped import VectorKind
from edgefuse.embeddings.table import read_description, shard_path, shards
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import write_bytes, write_json
from edgefuse_runtimes.spec import Modality


def require_usable(description: dict[str, Any], other: Path) -> None:
    """Accept a table that something can be taken over from.

    Args:
        description: of the table to be made, as in its `table.json`.
        other: the folder of a table, finished or not.

    Raises:
        BadInput: it is no table, or has neither the same pictures nor the same notes, or both its encoders differ.
    """
    if not _same(description, other):
        raise BadInput(
            f"Nothing of {other} can be taken over: it has neither the same pictures nor the same notes in its rows, "
            "or both its encoders are other ones; leave out --reuse."
        )


def take_over(folder: Path, other: Path) -> None:
    """Copy into the table `folder` the shards that it lacks and that `other` has finished, with what they cost."""
    description = read_description(folder)
    spans = shards(description["rows"])
    for kind in _same(description, other):
        pairs = [(shard_path(other, kind, k), shard_path(folder, kind, k)) for k in range(len(spans))]
        lacking = [(theirs, ours) for theirs, ours in pairs if theirs.is_file() and not ours.exists()]
        if len(lacking) == len(spans) and kind in read_cost(other):
            write_json(folder / COST, read_cost(folder) | {kind: read_cost(other)[kind]})
        for theirs, ours in lacking:
            write_bytes(ours, theirs.read_bytes())


def _same(description: dict[str, Any], other: Path) -> list[VectorKind]:
    """The kinds of vectors whose samples and encoder are the same in both tables, and of views their number."""
    known = read_description(other)
    samples = description["samples_sha256"]
    same_inputs = known.get("inputs_sha256") == description["inputs_sha256"]
    theirs = known.get("samples_sha256", samples if same_inputs else {})  # tables of older versions have none

    modalities: tuple[Modality, ...] = get_args(Modality)
    kinds: list[VectorKind] = [
        each
        for each in modalities
        if theirs.get(each) == samples[each] and known["encoders"].get(each) == description["encoders"][each]
    ]
    views = description["views"]
    return [*kinds, "views"] if "image" in kinds and views is not None and known.get("views") == views else kinds
