"""Limits that an export must keep, or it leaves nothing behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgefuse_runtimes.errors import BadInput, QualityGate


@dataclass(frozen=True)
class Gates:
    """What is asked of an export; None: nothing."""

    max_error: float | None = None
    """The most that the mean of 1 - cosine may be, of each encoder."""
    min_agreement: float | None = None
    """The least share of samples to which the head must give the same label from source and exported vectors."""

    def check_head(self, given: bool) -> None:
        """Refuse a gate that has nothing to measure.

        Raises:
            BadInput: agreement is asked for and no head is `given`.
        """
        if self.min_agreement is not None and not given:
            raise BadInput(
                "--min-agreement compares the labels that a head gives, and no head is named; "
                "add --head or --kit, or leave it out."
            )

    def check_error(self, name: str, found: dict[str, Any]) -> None:
        """Hold one encoder's figures, as `compare.compare` gives them, against `max_error`.

        Raises:
            QualityGate: the mean of 1 - cosine is above it.
        """
        measured = found["plain"]["mean"]
        if self.max_error is not None and measured > self.max_error:
            raise QualityGate(
                f"The {name} encoder's mean 1 - cosine to its source is {measured:.2e} on {found['count']} samples "
                f"of {found['on']}, and --max-error allows {self.max_error:.2e}; nothing was kept: export it in a "
                "higher precision or allow more."
            )

    def check_agreement(self, labels: dict[str, Any]) -> None:
        """Hold the head's answers, as `labels.compare_labels` gives them, against `min_agreement`.

        Raises:
            QualityGate: with both encoders exported, fewer labels stay the same.
        """
        both, samples = labels["comparisons"]["both"], labels["samples"]
        measured = both["agreement"]["mean"]
        if self.min_agreement is not None and measured < self.min_agreement:
            raise QualityGate(
                f"With {labels['head']['name']}, {measured:.2%} of {samples['count']} samples of "
                f"{samples['pictures_from']} keep their label ({len(both['flips'])} flip), and --min-agreement asks "
                f"for {self.min_agreement:.2%}; nothing was kept: export in a higher precision or ask for less."
            )
