"""What the classes are called in a person's language: for the eye alone, never in a file, the log or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edgefuse.answering.prediction import Prediction
from edgefuse.kits.kit import Kit
from edgefuse.labels import SEPARATOR
from edgefuse_runtimes.errors import BadInput

VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
"""Of the environment, the first that is set tells the language (POSIX, Base Definitions, 8.2)."""


def class_names(kit: Kit, language: str | None, environment: Mapping[str, str]) -> dict[str, str]:
    """What each class is called; by its own name where the kit has no other.

    Args:
        kit: an opened kit.
        language: that was asked for, such as "fr"; None: that of the environment, if the kit has it.
        environment: variables, as os.environ.

    Raises:
        BadInput: the kit has no names in the language that was asked for.
    """
    known = kit.class_names
    if language is not None and language not in known:
        there = ", ".join(sorted(known)) or "none"
        raise BadInput(f"The kit {kit.name} has no names of its classes in {language!r}; choose of these: {there}.")
    if language is None:
        locale = next((environment[name] for name in VARIABLES if environment.get(name)), "")  # as "fr_FR.UTF-8"
        language = locale.partition(".")[0].partition("_")[0]
    return {name: known.get(language, {}).get(name, name) for name in kit.classes}


def shown(prediction: Prediction, names: Mapping[str, str]) -> Prediction:
    """The answer as a person reads it, with the classes' names in his language."""
    label = SEPARATOR.join(names.get(one, one) for one in prediction.labels)
    reason = prediction.reason and prediction.reason.replace(f" sure of {prediction.label};", f" sure of {label};")
    return replace(
        prediction,
        label=label,
        labels=[names.get(one, one) for one in prediction.labels],
        probabilities={names.get(name, name): chance for name, chance in prediction.probabilities.items()},
        reason=reason,
    )
