"""What `edgefuse raw` found, as a row of a report's tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import read_json

SCHEMA = 1


def read_raw(path: Path, name: str) -> dict[str, Any]:
    """The figures of one file under this name: "name", "method", and what the three tables hold.

    Raises:
        BadInput: there is no such file, or it is no result of `edgefuse raw`.
    """
    if not path.is_file():
        raise BadInput(f"There is no result at {path}, which the study lists under [raw]; run 'edgefuse raw' first.")
    found = read_json(path, "run 'edgefuse raw' again")
    try:
        if found["schema"] != SCHEMA or found["method"] != "raw":
            raise ValueError(f"schema {found['schema']}, method {found['method']}")
        settings = found["settings"]
        learning = "backbones learn" if settings["unfreeze"] else "backbones frozen"
        return {
            "name": name,
            "method": f"raw, {settings['fusion']}, {learning}",
            "accuracy": float(found["test"]["accuracy"]),
            "macro_f1": float(found["test"]["macro_f1"]),
            "rows": int(found["rows"]["test"]),
            "head_mb": float(found["megabytes"]["head"]),
            "read_mb": float(found["megabytes"]["read_per_epoch"]),
            "training_seconds": float(found["seconds_per_epoch"]["training"]),
            "inference_seconds": float(found["seconds_per_epoch"]["inference"]),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path} is no result of 'edgefuse raw' ({error}); run it again.") from error
