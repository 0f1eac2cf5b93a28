"""When the answer is "ask a clinician": how sure a head must be, chosen for a wanted accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

FUSED, ALONE = "fused", ("image_only", "text_only")


@dataclass(frozen=True)
class Kept:
    """What one head's threshold keeps of the validation rows, which it was chosen on."""

    coverage: float
    """The share that is answered and not referred."""
    accuracy: float
    """Of those answered; 1 where none is."""
    rows: int
    """All of them, answered or not."""


@dataclass(frozen=True)
class Threshold:
    """How sure one head must be."""

    threshold: float | None
    """Below this probability of the likeliest class an answer is referred; None: each one is."""
    validation: Kept


@dataclass(frozen=True)
class Referral:
    """The rule of all three heads."""

    wanted_accuracy: float
    thresholds: dict[str, Threshold]
    """By name of the head: "fused", "image_only", "text_only"."""

    def reason(self, head: str, label: str, probability: float) -> str | None:
        """Why this answer of a head is referred, as a sentence; None where it is not."""
        rule = self.thresholds[head]
        name = head.replace("_", "-")
        if rule.threshold is None:
            return (
                f"The {name} head did not reach the wanted accuracy of {self.wanted_accuracy:.0%} on validation rows, "
                "however sure it was."
            )
        if probability >= rule.threshold:
            return None
        kept = rule.validation
        return (
            f"The {name} head is {probability:.1%} sure of {label}; it answers from {rule.threshold:.1%} on, "
            f"where {kept.accuracy:.0%} of its answers to validation rows were right."
        )

    def to_json(self) -> dict[str, Any]:
        """As head.json has it."""
        thresholds = {name: asdict(threshold) for name, threshold in self.thresholds.items()}
        return {"wanted_accuracy": self.wanted_accuracy, **thresholds.pop(FUSED), "alone": thresholds}


def from_json(data: Mapping[str, Any]) -> Referral:
    """Inverse of `Referral.to_json`.

    Raises:
        KeyError, TypeError, ValueError: something is missing or of another kind.
    """
    alone = {name: _threshold(data["alone"][name]) for name in ALONE}
    return Referral(float(data["wanted_accuracy"]), {FUSED: _threshold(data), **alone})


def _threshold(data: Mapping[str, Any]) -> Threshold:
    value, kept = data["threshold"], data["validation"]
    return Threshold(
        None if value is None else float(value),
        Kept(float(kept["coverage"]), float(kept["accuracy"]), int(kept["rows"])),
    )
