"""One encoder in files of several precisions: which of them fit each other, and which one is run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.spec import EncoderSpec

SHARED = ("format", "width", "pooling", "normalize", "preprocess", "tokenization", "tokenizer")
"""What an encoder's files have in common, so that the head and all that feeds them need not know which one runs."""


def read_alternatives(data: Any, mains: Sequence[EncoderSpec], where: str) -> tuple[EncoderSpec, ...]:
    """The encoders' further files out of a description; `data` may be anything that JSON can hold, None for none.

    Args:
        data: a list of descriptions.
        mains: the encoders' main files.
        where: what holds the description, for the sentence.

    Raises:
        BadInput: it is no such list, or a file in it is not the same encoder in another precision.
    """
    if data is None:
        return ()
    if not isinstance(data, list):
        raise BadInput(f"The alternatives of {where} are no list; make it again.")
    known = list(mains)
    for item in data:
        spec = EncoderSpec.from_json(item)
        main = next(one for one in mains if one.modality == spec.modality)
        differing = [name for name in SHARED if getattr(spec, name) != getattr(main, name)]
        if differing:
            raise BadInput(
                f"{spec.file} of {where} is another {spec.modality} encoder than {main.file} "
                f"({', '.join(differing)} differ); export the encoders again."
            )
        if any(spec.file == other.file for other in known) or any(
            (spec.modality, spec.precision) == (other.modality, other.precision) for other in known
        ):
            raise BadInput(
                f"{where} has two {spec.modality} encoders {spec.precision} or {spec.file}; export the encoders again."
            )
        known.append(spec)
    return tuple(known[len(mains) :])


def choose(
    mains: Sequence[EncoderSpec], alternatives: Sequence[EncoderSpec], precision: str | None, where: str
) -> tuple[EncoderSpec, ...]:
    """Of each encoder the file of that precision; the main one where there is none, or with None.

    Raises:
        BadInput: no encoder has a file of that precision; the sentence names what there is.
    """
    files = [*mains, *alternatives]
    if precision is not None and precision not in {spec.precision for spec in files}:
        there = "; ".join(
            f"{main.modality} {', '.join(spec.precision for spec in files if spec.modality == main.modality)}"
            for main in mains
        )
        raise BadInput(f"{where} has no encoder of the precision {precision!r} ({there}); choose another --precision.")
    found = {spec.modality: spec for spec in files if spec.precision == precision}
    return tuple(found.get(main.modality, main) for main in mains)
