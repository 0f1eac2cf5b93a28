"""Which configurations of a kit are worth a run on this device, and which are left out, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgefuse.answering.memory import Request, plan
from edgefuse.kits.golden import probe_sample
from edgefuse.kits.kit import Kit
from edgefuse.kits.tuned import MODALITIES
from edgefuse_bench.tuning.search import Configuration
from edgefuse_runtimes.encoder import ENGINES, is_installed
from edgefuse_runtimes.errors import DoesNotFit
from edgefuse_runtimes.machine import AvailableMemory, available_memory, usable_cores
from edgefuse_runtimes.probe import probe
from edgefuse_runtimes.spec import EncoderSpec


@dataclass(frozen=True)
class Candidates:
    """What to run."""

    configurations: tuple[Configuration, ...]
    """The usual one first: what `classify` does where nothing was tuned."""
    left_out: tuple[str, ...]
    """What is not run and why, a sentence each."""


def candidates(kit: Kit) -> Candidates:
    """All that can be run here: engines that passed their probe, precisions that passed parity, numbers of threads.

    Probes that were not made before are made now.

    Raises:
        DoesNotFit: not even the usual way fits the memory.
        BadInput: a file of the kit is damaged.
    """
    available = available_memory()
    left_out: list[str] = []
    precisions: list[str | None] = [None]
    for spec in kit.alternatives:
        if "parity" not in spec.recipe:
            left_out.append(f"{spec.file} was never compared with its source; export it again.")
        elif spec.precision not in precisions:
            precisions.append(spec.precision)
    _plan(kit, Configuration("auto", usable_cores(), None), available)
    fitting = [
        one
        for one in _all(precisions)
        if one == Configuration("auto", usable_cores(), None) or _fits(kit, one, available, left_out)
    ]
    specs = {spec.file: spec for precision in precisions for spec in kit.encoders(precision)}
    distrusted = {file: sentence for file, spec in specs.items() if (sentence := _distrust(kit, spec, available))}
    left_out += distrusted.values()
    if len(distrusted) == len(specs):  # "auto" is numpy then
        fitting = [one for one in fitting if one.engine == "auto"]
    return Candidates(tuple(fitting), tuple(dict.fromkeys(left_out)))


def thread_counts(cores: int) -> list[int]:
    """All cores, which is usual, then 1, 2, 4, ... below."""
    powers = [1 << power for power in range(cores.bit_length()) if 1 << power < cores]
    return [cores, *reversed(powers)]


def _all(precisions: list[str | None]) -> Iterator[Configuration]:
    for engine in ("auto", "numpy"):
        for precision in precisions:
            for threads in thread_counts(usable_cores()):
                yield Configuration(engine, threads, precision)


def _plan(kit: Kit, one: Configuration, available: AvailableMemory) -> None:
    specs = dict(zip(MODALITIES, kit.encoders(one.precision), strict=True))
    plan(Request(kit, specs, dict.fromkeys(MODALITIES, one.engine), "auto", None, kept=True), available)


def _fits(kit: Kit, one: Configuration, available: AvailableMemory, left_out: list[str]) -> bool:
    try:
        _plan(kit, one, available)
    except DoesNotFit as error:
        left_out.append(str(error))
        return False
    return True


def _distrust(kit: Kit, spec: EncoderSpec, available: AvailableMemory) -> str:
    """Why no native engine runs this file here; "" where one does."""
    said = ""
    for engine in ENGINES[spec.format][:-1]:
        if not is_installed(engine):
            said = f"{engine.name} is not installed; numpy runs {spec.file}."
            continue
        request = Request(kit, {spec.modality: spec}, {spec.modality: engine.name}, "auto", None, kept=True)
        try:
            memory = plan(request, available)[spec.modality].memory
        except DoesNotFit as error:
            said = str(error)
            continue
        path, sample = kit.file(spec.file), probe_sample(kit.file, spec)
        verdict = probe(engine, path, spec, sample, threads=usable_cores(), memory=memory)
        if verdict.trusted:
            return ""
        said = f"{engine.name} cannot be trusted with {spec.file} here ({verdict.reason}); numpy runs it."
    return said
