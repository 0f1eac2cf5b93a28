"""Which file of each encoder is run and how: as the user says, else as `edgefuse tune` chose, else as usual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgefuse.answering.stage import Settings
from edgefuse.kits.kit import Kit
from edgefuse.kits.tuned import MODALITIES, engine_to_open, read_tuned
from edgefuse_runtimes.spec import EncoderSpec, Modality


@dataclass(frozen=True)
class Runs:
    """What is run, by modality."""

    specs: Mapping[Modality, EncoderSpec]
    settings: Mapping[Modality, Settings]
    tuned: bool = False
    """Whether `edgefuse tune` chose it."""
    remarks: tuple[str, ...] = ()
    """What every answer must say about it."""


def runs(kit: Kit, settings: Settings, precision: str | None) -> Runs:
    """What is run; an engine, threads or a precision that the user names is all that counts then.

    Raises:
        BadInput: the kit has no file of that precision.
    """
    usual = Runs(dict(zip(MODALITIES, kit.encoders(precision), strict=True)), dict.fromkeys(MODALITIES, settings))
    if (settings.engine, settings.threads, precision) != ("auto", None, None):
        return usual
    choice, remark = read_tuned(kit)
    if choice is None:
        return replace(usual, remarks=(remark,) if remark else ())
    specs = {
        modality: dict(zip(MODALITIES, kit.encoders(chosen.precision), strict=True))[modality]
        for modality, chosen in choice.items()
    }
    return Runs(
        specs,
        {
            modality: replace(settings, engine=engine_to_open(specs[modality], chosen), threads=chosen.threads)
            for modality, chosen in choice.items()
        },
        tuned=True,
    )
