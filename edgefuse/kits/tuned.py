"""What `edgefuse tune` chose for a kit on this device: a file beside the kit, never in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgefuse import __version__
from edgefuse.card import machine_card
from edgefuse.home import closed_to_others
from edgefuse.kits.kit import Kit
from edgefuse_runtimes.encoder import ENGINES
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import read_json, write_json
from edgefuse_runtimes.machine import cpu_model
from edgefuse_runtimes.spec import EncoderSpec, Modality

SCHEMA = 1
SUFFIX = ".tuned.json"
MODALITIES: tuple[Modality, ...] = ("image", "text")


@dataclass(frozen=True)
class StageChoice:
    """How the encoder of one modality is run."""

    engine: str
    """"onnxruntime", "llama.cpp" or "numpy"."""
    threads: int
    precision: str


Choice = Mapping[Modality, StageChoice]
"""For the image and for the text encoder."""


def tuned_path(kit: Path) -> Path:
    """The file beside the kit in this folder."""
    folder = kit.resolve()
    return folder.with_name(folder.name + SUFFIX)


def write_tuned(kit: Kit, choice: Choice, **more: Any) -> Path:
    """Write a choice for this kit, this processor and this edgefuse, with whatever else is to be kept; return where.

    Raises:
        OSError: the folder beside the kit cannot be written.
    """
    path = tuned_path(kit.folder)
    description = {
        "schema": SCHEMA,
        "kind": "tuned",
        "edgefuse": __version__,
        "kit": {"name": kit.name, "version": kit.version, "digest": kit.digest},
        "processor": cpu_model(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "choice": {modality: asdict(one) for modality, one in choice.items()},
        **more,
        "machine": machine_card(),
    }
    with closed_to_others():
        write_json(path, description)
    return path


def read_tuned(kit: Kit) -> tuple[Choice | None, str]:
    """The choice for this kit here; or None, and why one that lies there is not used, "" where none does."""
    path = tuned_path(kit.folder)
    if not path.is_file():
        return None, ""
    again = f"run 'edgefuse tune {kit.folder}' again"
    try:
        found = read_json(path, again)
        choice = {modality: StageChoice(**found["choice"][modality]) for modality in MODALITIES}
        stale = _stale(found, kit)
        sound = all(_is_sound(one, modality, kit) for modality, one in choice.items())
    except (BadInput, KeyError, TypeError):
        return None, f"{path} is damaged and was not used; {again}."
    if not stale and not sound:
        return None, f"{path} names what this kit or this edgefuse has not, and was not used; {again}."
    return (None, f"What tune chose was made for {stale} and was not used; {again}.") if stale else (choice, "")


def engine_to_open(spec: EncoderSpec, chosen: StageChoice) -> str:
    """What `open_encoder` is asked for: "auto" where that is its first engine, so that it is probed."""
    return "auto" if chosen.engine == ENGINES[spec.format][0].name else chosen.engine


def _stale(found: Mapping[str, Any], kit: Kit) -> str:
    """What the choice was made for, if that is not what is here."""
    if found["schema"] != SCHEMA:
        return f"schema {found['schema']} of its file"
    if found["kit"]["digest"] != kit.digest:
        return "another version of this kit"
    if found["processor"] != cpu_model():
        return "another processor"
    return f"edgefuse {found['edgefuse']}" if found["edgefuse"] != __version__ else ""


def _is_sound(chosen: StageChoice, modality: Modality, kit: Kit) -> bool:
    """Whether the kit has such a file and edgefuse such an engine for it."""
    files = {spec.precision: spec for spec in (kit.image, kit.text, *kit.alternatives) if spec.modality == modality}
    if type(chosen.threads) is not int or chosen.threads < 1 or chosen.precision not in files:
        return False
    return chosen.engine in {engine.name for engine in ENGINES[files[chosen.precision].format]}
