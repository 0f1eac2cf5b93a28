"""What edgefuse says of a table inside the file that it exports, so that the import knows it again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgefuse.embeddings.table import Table
from edgefuse_runtimes.errors import BadInput


def exported(table: Table) -> dict[str, Any]:
    """The part of a table's description that its rows do not hold, as plain JSON types."""
    return {
        "encoders": table.encoders,
        "dataset": table.dataset,
        "classes": list(table.classes),
        "multilabel": table.multilabel,
        "split_seed": table.split_seed,
        "subgroups": list(table.subgroups),
    }


def read_exported(text: str, path: Path) -> dict[str, Any]:
    """The description that an exported file holds; {} for "".

    Raises:
        BadInput: the text is none of edgefuse's.
    """
    if not text:
        return {}
    try:
        found = json.loads(text)
        encoders = {modality: dict(found["encoders"][modality]) for modality in ("image", "text")}
        dataset = dict(found["dataset"])
        seed = found["split_seed"]
        if not (seed is None or type(seed) is int) or not {"name", "licence", "drawn"} <= dataset.keys():
            raise TypeError("split_seed or dataset")
        classes, subgroups = ([str(name) for name in found[key]] for key in ("classes", "subgroups"))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadInput(f"The description in {path} is damaged ({error}); export the table again.") from error
    return {
        "encoders": encoders,
        "dataset": dataset,
        "classes": classes,
        "multilabel": found.get("multilabel") is True,
        "split_seed": seed,
        "subgroups": subgroups,
    }
