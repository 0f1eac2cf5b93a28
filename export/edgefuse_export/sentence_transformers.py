"""What a folder of the library sentence-transformers says beside its model: pooling, length 1, token limit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefuse_export.sources import read_object
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.spec import Pooling

MODULES = "modules.json"
_POOLINGS: dict[str, Pooling] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "last",
}


@dataclass(frozen=True)
class Settings:
    """What is stated; a plain folder of transformers states nothing."""

    pooling: Pooling | None = None
    normalize: bool = False
    max_tokens: int | None = None
    lower_case: bool = False
    """Whether notes are brought to lower case before the tokenizer sees them."""


def read_settings(folder: Path, pooling: Pooling | None = None) -> Settings:
    """The settings of the model in `folder`.

    Args:
        folder: a model's.
        pooling: the choice that takes the place of the stated one.

    Raises:
        BadInput: a file is damaged, or the vector is made in another way than by pooling and normalising.
    """
    if not (folder / MODULES).is_file():
        return Settings(pooling)
    normalize = False
    for kind, path in _modules(folder):
        match kind:
            case "Transformer":
                continue
            case "Pooling":
                pooling = pooling or _pooling(folder / path / "config.json")
            case "Normalize":
                normalize = True
            case _:
                raise BadInput(
                    f"{folder / MODULES} has the module {kind}, which is not supported; choose another text encoder."
                )
    limits = folder / "sentence_bert_config.json"
    stated = read_object(limits) if limits.is_file() else {}
    limit = stated.get("max_seq_length")
    return Settings(
        pooling, normalize, limit if type(limit) is int and limit > 0 else None, stated.get("do_lower_case") is True
    )


def _modules(folder: Path) -> list[tuple[str, str]]:
    """Last part of the class, and sub-folder, of each module."""
    try:
        modules = json.loads((folder / MODULES).read_bytes())
        return [(module["type"].rpartition(".")[2], str(module["path"])) for module in modules]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{folder / MODULES} is damaged; fetch the model's folder again.") from error


def _pooling(path: Path) -> Pooling:
    stated: dict[str, Any] = read_object(path)
    modes = [name for name, value in stated.items() if name.startswith("pooling_mode_") and value is True]
    if len(modes) != 1 or modes[0] not in _POOLINGS:
        raise BadInput(
            f"{path} pools by {', '.join(modes) or 'nothing'}, which is not supported; choose --pooling cls or mean."
        )
    return _POOLINGS[modes[0]]
