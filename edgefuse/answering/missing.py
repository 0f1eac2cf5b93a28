"""What an answer to a picture alone or to a note alone must say: which head gave it, and how good that one is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgefuse.heads import ALONE
from edgefuse.kits.kit import Kit
from edgefuse_runtimes.spec import Modality

_MISSING: dict[Modality, str] = {"image": "No picture was given", "text": "No note was given"}
_OTHER: dict[Modality, Modality] = {"image": "text", "text": "image"}


def missing_sentences(kit: Kit, missing: Modality) -> list[str]:
    """The sentences for an answer without `missing`."""
    part = ALONE[_OTHER[missing]]
    name = part.replace("_", "-")
    sentences = [f"{_MISSING[missing]}: the {name} head answered ({_accuracy(kit.manifest.get('evaluation'), part)})."]
    if part not in kit.head.temperatures_alone:
        sentences.append(
            f"An older edgefuse trained this kit without a temperature for its {name} head, so these probabilities are "
            "surer or less sure than they should be; train and pack the kit again."
        )
    return sentences


def _accuracy(evaluation: Any, part: str) -> str:
    """The recorded accuracy of a head beside that of the fused one, with what they were measured on."""
    try:
        metrics = evaluation["metrics"]
        alone, fused = (float(metrics[name]["accuracy"]) for name in (part, "fused"))
        return f"accuracy {alone:.2f} on {int(evaluation['n'])} {_rows(evaluation)}, the fused head {fused:.2f}"
    except (KeyError, TypeError, ValueError):
        return "the kit records no accuracy of it; pack it again to have one"


def _rows(evaluation: Mapping[str, Any]) -> str:
    return f"test rows of {'the drawn example' if evaluation['drawn'] else evaluation['dataset']['name']}"
