"""Whether this machine can answer, with which engines, and what would help: gathered as plain JSON types.

It must say something sensible on a machine where nothing works, so whatever may be missing is imported late.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefuse import __version__
from edgefuse.platforms import Platform, unsupported
from edgefuse_runtimes.errors import BadInput, DoesNotFit, EdgefuseError

if TYPE_CHECKING:
    from edgefuse.answering.memory import Chosen, MemorySetting
    from edgefuse.kits.kit import Kit
    from edgefuse_runtimes.contract import Engine
    from edgefuse_runtimes.machine import AvailableMemory
    from edgefuse_runtimes.spec import EncoderSpec
    from edgefuse_runtimes.verdicts import Record

BASE = {"numpy": "numpy", "pillow": "PIL", "click": "click", "psutil": "psutil"}
"""Without any of these, nothing runs: packages and the modules they bring."""

INSTALL = {
    "onnxruntime": "pip install 'edgefuse[onnxruntime]'",
    "llama.cpp": "CMAKE_ARGS=\"-DGGML_NATIVE=OFF\" pip install 'edgefuse[llama]'",
    "numpy": "pip install edgefuse",
}
"""How an engine gets onto a machine with a network."""


def examine(
    found: Platform, kit: Path | None, *, memory: MemorySetting = "auto", try_engines: bool = False
) -> dict[str, Any]:
    """All that is known about this machine and, where there is a kit, about running it here.

    Args:
        found: the platform; on one that is not supported, nothing else is looked at.
        kit: the folder of the kit that the user named; None: the one that `classify` would use.
        memory: the memory setting that engines are looked at, and tried, with.
        try_engines: run every engine that is installed and fits the memory on the kit's golden sample; this may take
            minutes.

    Returns:
        "can_answer"; "problems", why not; "advice", what would be better; "platform", "machine", "packages", "engines",
        "kit" and "verdicts", each null or empty where it could not be looked at.
    """
    report: dict[str, Any] = {
        "edgefuse": __version__,
        "can_answer": False,
        "problems": [],
        "advice": [],
        "platform": asdict(found) | {"python": ".".join(map(str, found.python))},
        "machine": None,
        "packages": [],
        "engines": [],
        "kit": None,
        "verdicts": [],
    }
    sentence = unsupported(found)
    if sentence:
        return report | {"problems": [sentence]}
    report["packages"] = [_package(name, module) for name, module in BASE.items()]
    report["problems"] = [
        f"{package['package']} cannot be imported ({package['problem']}); install it again with 'pip install edgefuse'."
        for package in report["packages"]
        if package["problem"]
    ]
    if not report["problems"]:
        _look(report, kit, memory, try_engines)
    return report | {"can_answer": not report["problems"]}


def verdict_json(record: Record) -> dict[str, Any]:
    """A remembered verdict in plain JSON types, its machine's own text of the processor left out.

    "gone" says that its file is no longer there: it may be on a medium that was taken out, or have been moved.
    """
    known = {name: value for name, value in asdict(record).items() if name != "processor"}
    return known | {"gone": is_gone(record)}


def is_gone(record: Record) -> bool:
    """Whether the file that a verdict is about is no longer where it was tried."""
    return not os.path.exists(record.file)  # noqa: PTH110 - Path.exists fails in a folder that may not be entered


def _look(report: dict[str, Any], named: Path | None, memory: MemorySetting, try_engines: bool) -> None:
    """Fill in what needs the base packages."""
    from edgefuse_runtimes.machine import cpu_model
    from edgefuse_runtimes.verdicts import records

    report["machine"] = _machine()
    report["engines"] = _engines()
    kit = named or _chosen_kit()
    if kit is None:
        report["advice"].append("No kit is chosen; name one with --kit, or choose one with 'edgefuse kits use KIT'.")
    else:
        try:
            report["kit"] = _kit(kit, memory, try_engines)
        except EdgefuseError as error:
            report["problems"].append(str(error))
            if named is None:
                report["advice"].append("Choose another kit with 'edgefuse kits use KIT'.")
        else:
            report["problems"] += [
                encoder["problem"] for encoder in report["kit"]["encoders"] if encoder["main"] and encoder["problem"]
            ]
    report["advice"] += _advice(report)
    here = cpu_model()
    report["verdicts"] = [verdict_json(record) for record in records() if record.processor == here]


def _chosen_kit() -> Path | None:
    """The kit that `classify` would use; None where there is none, which is no fault of the machine."""
    from edgefuse.kits.active import find_kit

    try:
        return find_kit()
    except (BadInput, OSError):
        return None


def _package(name: str, module: str) -> dict[str, Any]:
    """A base package's version, and what is wrong with it."""
    try:
        import_module(module)
        problem = ""
    except Exception as error:  # noqa: BLE001 - numpy raises all kinds on a processor that it was not built for
        problem = " ".join(str(error).strip().split("\n\n")[0].split()).rstrip(".") or type(error).__name__
    return {"package": name, "version": _version(name), "problem": problem}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _machine() -> dict[str, Any]:
    import psutil

    from edgefuse.card import machine_card
    from edgefuse_runtimes.processor import processor_features

    place = _kept_in()
    card = machine_card()
    return card | {
        "features": processor_features(),
        "available_bytes": psutil.virtual_memory().available,
        "disk": place and {"folder": str(place), "free_bytes": psutil.disk_usage(str(place)).free},
        "writable": place is not None and os.access(place, os.W_OK),
    }


def _kept_in() -> Path | None:
    """The folder below which verdicts are kept or would be made; None where the user has no home."""
    from edgefuse_runtimes.verdicts import verdicts_folder

    try:
        # Path.is_dir fails in a folder that may not be entered.
        return next((folder for folder in verdicts_folder().parents if os.path.isdir(folder)), None)  # noqa: PTH112
    except FileNotFoundError:
        return None


def _engines() -> list[dict[str, Any]]:
    """Every engine and whether its library is there; a native one is not imported here: that may be its death."""
    from edgefuse_runtimes.encoder import ENGINES, is_installed

    formats: dict[str, list[str]] = {}
    known: dict[str, Engine] = {}
    for file_format, engines in ENGINES.items():
        for engine in engines:
            formats.setdefault(engine.name, []).append(file_format)
            known[engine.name] = engine
    return [
        {
            "engine": name,
            "formats": formats[name],
            "installed": is_installed(engine),
            "version": _version(engine.package or "numpy"),
            "install": INSTALL.get(name, ""),
        }
        for name, engine in sorted(known.items(), key=lambda item: item[0] == "numpy")  # the last resort last
    ]


def _kit(folder: Path, memory: MemorySetting, try_engines: bool) -> dict[str, Any]:
    """What the kit holds, and what is known about every engine with each of its files.

    Raises:
        BadInput: there is no kit, or it is damaged.
    """
    from edgefuse.kits.kit import Kit
    from edgefuse_runtimes.machine import available_memory

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
    from edgefuse.answering.memory import Request, plan
    from edgefuse_runtimes.encoder import ENGINES

    def way(engine: str) -> Chosen:
        """How `classify` would run the file now, for one answer: its engines' verdicts are those that count."""
        return plan(Request(kit, {spec.modality: spec}, engine, memory, None, kept=False), available)[spec.modality]

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
    from edgefuse.kits.golden import probe_sample
    from edgefuse_runtimes.encoder import is_installed
    from edgefuse_runtimes.machine import physical_cores
    from edgefuse_runtimes.probe import attempt, known_verdict, probe

    state: dict[str, Any] = {"engine": engine.name, "state": "not installed", "reason": "", "info": None}
    if not is_installed(engine):
        return state
    remarks = way("auto").remarks
    try:
        memory = way(engine.name).memory
    except DoesNotFit as error:
        return state | {"state": "does not fit", "reason": " ".join(remarks) or str(error)}
    path, sample, threads = kit.file(spec.file), probe_sample(kit.file, spec), physical_cores()
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


def _advice(report: dict[str, Any]) -> list[str]:
    """What would make it faster here."""
    from edgefuse_runtimes.processor import multiplies_bytes

    advice, kit, features = [], report["kit"], report["machine"]["features"]
    formats = {encoder["format"] for encoder in kit["encoders"]} if kit else None
    for engine in report["engines"]:
        if engine["installed"] or (formats is not None and formats.isdisjoint(engine["formats"])):
            continue
        if engine["engine"] == "llama.cpp" and report["machine"]["architecture"] == "x86_64" and "AVX2" not in features:
            advice.append("llama.cpp's usual builds need AVX2, which this processor lacks; numpy runs text.gguf.")
        else:
            kinds = " and ".join(f".{file_format}" for file_format in engine["formats"])
            advice.append(f"{engine['engine']} runs {kinds} files faster than numpy: {engine['install']}")
    encoders = kit["encoders"] if kit else []
    advice += [
        f"Do without --precision {encoder['precision']}: {encoder['problem']}"
        for encoder in encoders
        if encoder["problem"] and not encoder["main"]
    ]
    precisions = {encoder["precision"] for encoder in encoders if not encoder["problem"]}
    if {"int8", "fp32"} <= precisions and not multiplies_bytes(features):
        advice.append(
            "This processor has no instructions for products of 8-bit numbers, so the kit's float32 files may be "
            f"faster: compare 'edgefuse bench run {kit['folder']}' with the same and --precision fp32."
        )
    if not report["machine"]["writable"]:
        disk = report["machine"]["disk"]
        where = f"{disk['folder']} cannot be written" if disk else "This user has no home folder"
        advice.append(
            f"{where}, so engines are probed at every start; set XDG_CACHE_HOME to a folder that can be written."
        )
    return advice
