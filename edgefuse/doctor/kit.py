"""What a kit holds, and what is known about every engine with each of its encoder files on this machine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from edgefuse.answering.memory import Chosen, MemorySetting, Request, plan
from edgefuse.kits.golden import probe_sample
from edgefuse.kits.kit import Kit
from edgefuse_runtimes.contract import Engine
from edgefuse_runtimes.encoder import ENGINES, is_installed
from edgefuse_runtimes.errors import DoesNotFit, EdgefuseError
from edgefuse_runtimes.machine import AvailableMemory, available_memory, usable_cores
from edgefuse_runtimes.probe import attempt, known_verdict, probe
from edgefuse_runtimes.spec import EncoderSpec


def look_at_kit(folder: Path, memory: MemorySetting, try_engines: bool) -> dict[str, Any]:
    """What the kit holds, and what is known about every engine with each of its files.

    Raises:
        BadInput: there is no kit, or it is damaged.
    """
    kit = Kit.open(folder)
    _ = kit.head
    mains, available = (kit.image, kit.text), available_memory()
    return {
        "folder": str(folder.resolve()),
        "name": kit.name,
        "version": kit.version,
        "drawn": kit.drawn,
        "encoders": [
            {
                "modality": spec.modality,
                "file": spec.file,
                "main": spec in mains,
                "format": spec.format,
                "precision": spec.precision,
                "bytes": spec.total_bytes,
                **_runs(kit, spec, memory, available, try_engines),
            }
            for spec in (*mains, *kit.alternatives)
        ],
    }


def _runs(
    kit: Kit, spec: EncoderSpec, memory: MemorySetting, available: AvailableMemory, try_engines: bool
) -> dict[str, Any]:
    """What is known about every engine with one file, and the "problem" where none can run it."""

    def way(engine: str) -> Chosen:
        """How `classify` would run the file now, for one answer: its engines' verdicts are those that count."""
        modality = spec.modality
        request = Request(kit, {modality: spec}, {modality: engine}, memory, None, kept=False)
        return plan(request, available)[modality]

    try:
        engines = [_state(kit, spec, engine, way, try_engines) for engine in ENGINES[spec.format]]
    except EdgefuseError as error:
        return {"problem": str(error), "engines": []}
    return {"problem": _why_not(spec, engines), "engines": engines}


def _state(
    kit: Kit, spec: EncoderSpec, engine: Engine, way: Callable[[str], Chosen], try_engines: bool
) -> dict[str, Any]:
    """What is known about one engine with one file: its state, the reason, and the engine's info.

    Raises:
        BadInput: the file is damaged.
        DoesNotFit: the machine has too little memory for the file with any engine.
    """
    state: dict[str, Any] = {"engine": engine.name, "state": "not installed", "reason": "", "info": None}
    if not is_installed(engine):
        return state
    remarks = way("auto").remarks
    try:
        memory = way(engine.name).memory
    except DoesNotFit as error:
        return state | {"state": "does not fit", "reason": " ".join(remarks) or str(error)}
    path, sample, threads = kit.file(spec.file), probe_sample(kit.file, spec), usable_cores()
    verdict = None
    if try_engines:
        try_out = partial(probe, anew=True) if engine.module else attempt
        verdict = try_out(engine, path, spec, sample, threads=threads, memory=memory)
    elif engine.module:
        verdict = known_verdict(engine, path, spec, threads=threads, memory=memory)
    if verdict is None:
        return state | {"state": "not tried"}
    trusted = "trusted" if verdict.trusted else "not trusted"
    return state | {"state": trusted, "reason": verdict.reason, "info": verdict.info or None}


def _why_not(spec: EncoderSpec, engines: list[dict[str, Any]]) -> str:
    """Why no engine can run a file; "" where one can, and one that was not tried has the benefit of the doubt."""
    if any(engine["state"] in ("trusted", "not tried") for engine in engines):
        return ""
    why = "; ".join(f"{engine['engine']}: {engine['reason'].rstrip('.') or engine['state']}" for engine in engines)
    return f"No engine can run {spec.file} here ({why}); copy the kit again or use another one."
