"""How a kit's encoders are run in the memory there is, decided before any of them is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from edgefuse.kits.kit import Kit
from edgefuse_runtimes.contract import Engine, Memory
from edgefuse_runtimes.encoder import ENGINES, is_installed
from edgefuse_runtimes.encoder_facts import encoder_facts
from edgefuse_runtimes.errors import DoesNotFit
from edgefuse_runtimes.machine import AvailableMemory
from edgefuse_runtimes.memory_plan import MIB, Choice, Way, choose, in_q4, least, need
from edgefuse_runtimes.spec import EncoderSpec, Format, Modality

MemorySetting = Literal["auto", "low", "normal"]

SHORT_NOTE = 64
"""Tokens of a note that nobody would call long."""


@dataclass(frozen=True)
class Chosen:
    """How one encoder is run."""

    engine: str
    """As `open_encoder` takes it."""
    memory: Memory
    remarks: tuple[str, ...] = ()
    """What the answer must say about it."""
    side_by_side: bool = False
    """As `open_encoder` takes it."""


@dataclass(frozen=True)
class Request:
    """What is to be run, and how the user wants it."""

    kit: Kit
    specs: Mapping[Modality, EncoderSpec]
    """The encoders that a sample needs and that are not open yet."""
    engines: Mapping[Modality, str]
    """As `open_encoder` takes them."""
    memory: MemorySetting
    note: str | None
    """The note to come."""
    kept: bool
    """Whether the encoders stay open for the next samples, beside each other."""
    side_by_side: int = 1
    """Pictures of a batch to encode at the same time, where there is room."""


def plan(request: Request, available: AvailableMemory) -> dict[Modality, Chosen]:
    """A way to run each encoder that fits the memory.

    With memory "auto", encoders that are kept are run as "normal" where half of the memory stays free, else as "low";
    for one answer "low" is both smaller and faster, since what is made ready is used once. With the engine "auto",
    numpy is taken where the native engine does not fit.

    Raises:
        DoesNotFit: there is no such way; the sentence says what is needed, what there is, and what would help.
        BadInput: a text encoder's file is missing or damaged.
    """
    choices = {modality: _choice(request, spec) for modality, spec in request.specs.items()}
    together = [list(choices)] if request.kept else [[modality] for modality in choices]
    chosen: dict[Modality, Chosen] = {}
    for modalities in together:
        encoders = [choices[modality] for modality in modalities]
        ways = choose(encoders, available.bytes, kept=request.kept, leave_half=request.memory == "auto")
        if ways is None:
            raise _does_not_fit(request, modalities, choices, available)
        for modality, way in zip(modalities, ways, strict=True):
            chosen[modality] = _chosen(request, request.specs[modality], choices[modality], way, available)
    return chosen


def ways_to_run(
    file_format: Format,
    engine: str,
    memory: MemorySetting,
    usable: Callable[[Engine], bool] = is_installed,
    *,
    side_by_side: int = 1,
) -> list[Way]:
    """Ways that the engine and the memory setting allow, the fastest first; of the engines those that are `usable`.

    So many samples are encoded at the same time, or one, where an engine can.
    """
    candidates = ENGINES[file_format]
    asked = [candidate for candidate in candidates if candidate.name == engine]
    engines = asked or [candidate for candidate in candidates if usable(candidate)]
    settings: Sequence[Memory] = ("normal", "low") if memory == "auto" else (memory,)
    counts = {(True, "normal"): [side_by_side, 1]} if side_by_side > 1 else {}
    return [
        Way(candidate.name, setting, bool(candidate.child), count)
        for candidate in engines
        for setting in settings
        for count in counts.get((candidate.side_by_side, setting), [1])
    ]


def _choice(request: Request, spec: EncoderSpec) -> Choice:
    note = None if request.kept else request.note  # later notes may be longer
    facts = encoder_facts(spec, request.kit.file, note)
    once = request.memory == "auto" and not request.kept
    setting: MemorySetting = "low" if once else request.memory
    count = request.side_by_side if spec.modality == "image" else 1
    return facts, ways_to_run(spec.format, request.engines[spec.modality], setting, side_by_side=count)


def _chosen(request: Request, spec: EncoderSpec, choice: Choice, way: Way, available: AvailableMemory) -> Chosen:
    facts, ways = choice
    wanted = ways[0].engine
    if way.engine == wanted:
        return Chosen(request.engines[spec.modality], way.memory, side_by_side=way.side_by_side > 1)
    frugal = min((need(facts, other) for other in ways if other.engine == wanted), key=lambda one: one.must_be_there)
    remark = (
        f"{wanted} needs {_mib(frugal.must_be_there)} of memory for {spec.file} and "
        f"{_said(available)}; {way.engine} runs it instead."
    )
    return Chosen(way.engine, way.memory, (remark,))


def _does_not_fit(
    request: Request, modalities: Sequence[Modality], choices: Mapping[Modality, Choice], available: AvailableMemory
) -> DoesNotFit:
    needed = least([choices[modality] for modality in modalities], kept=request.kept)
    what = " and the ".join(f"{modality} encoder" for modality in modalities)
    verb = "need" if modalities[1:] else "needs"
    helps = _what_helps(request, modalities, choices, available.bytes)
    return DoesNotFit(
        f"The {what} of the kit {request.kit.name} {verb} {_mib(needed)} of memory and {_said(available)}; "
        f"what helps: {', '.join(helps[:-1])}{' or ' if helps[1:] else ''}{helps[-1]}."
    )


def _what_helps(
    request: Request, modalities: Sequence[Modality], choices: Mapping[Modality, Choice], available: int
) -> list[str]:
    """What would make it fit; each was tried on the model but the last ones, which have no number."""
    encoders = {modality: choices[modality] for modality in modalities}

    def enough(changed: Mapping[Modality, Choice], *, kept: bool = request.kept) -> bool:
        return choose(list(changed.values()), available, kept=kept, leave_half=False) is not None

    helps = []
    free = {m: (facts, ways_to_run(facts.format, "auto", "auto")) for m, (facts, _) in encoders.items()}
    is_free = request.memory == "auto" and all(request.engines[modality] == "auto" for modality in encoders)
    if not is_free and enough(free):
        helps.append("--engine auto with --memory auto")
    for modality, (facts, ways) in encoders.items():
        if modality == "text" and enough(encoders | {modality: (replace(facts, tokens=SHORT_NOTE), ways)}):
            helps.append("a shorter note")
        for other in request.kit.alternatives:
            changed = replace(facts, precision=other.precision, weight_bytes=other.total_bytes)
            if other.modality == modality and enough(encoders | {modality: (changed, ways)}):
                helps.append(f"--precision {other.precision}")
    if "text" in encoders:
        text, ways = encoders["text"]
        if text.precision == "q8_0" and enough(encoders | {"text": (in_q4(text), ways)}):
            helps.append("a text encoder in q4_k_m")
        if "image" in choices and enough({"image": choices["image"]}, kept=False):
            helps.append("the picture without its note")
        helps.append("a kit with a smaller text encoder")
    return [*helps, "more free memory"]


def _said(available: AvailableMemory) -> str:
    return f"{_mib(available.bytes)} are available ({available.limit})"


def _mib(size: int) -> str:
    return f"{-(-size // MIB)} MiB"
