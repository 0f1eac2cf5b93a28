"""What makes the figures of a data set flatter, said wherever they are printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def leak_sentences(dataset: Mapping[str, Any]) -> list[str]:
    """A sentence for each leak that a table's or a head's `dataset` records; none for most."""
    sentences = []
    if fields := dataset.get("leaks"):
        sentences.append(
            f"LEAK: the notes hold {', '.join(fields)}, which tells the label; all figures are too good to be true."
        )
    if dataset.get("split") == "paper":
        sentences.append(
            "LEAK: the split is the paper's, by picture: pictures of one group lie in training and test rows, "
            "so all figures are too good to be true."
        )
    return sentences


def recorded(leaks: tuple[str, ...], split: str) -> dict[str, Any]:
    """What a table's `dataset` records of leaks and of a split that is not the usual one."""
    return {**({"leaks": list(leaks)} if leaks else {}), **({"split": split} if split in ("paper", "time") else {})}
