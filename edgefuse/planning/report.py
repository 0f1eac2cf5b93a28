"""A plan in plain JSON types: what fits, what each moment takes, and what to change."""

from __future__ import annotations

import platform
from dataclasses import asdict
from typing import Any

from edgefuse.planning.options import Asked, Moment, Option, for_many, options
from edgefuse.sizes import said_size
from edgefuse_runtimes.memory_plan import PROCESS, RESERVE, repacked_and_mapped

SCHEMA = 1
ONE_ANSWER = "text-first"
"""The option that `classify` takes for one picture and its note."""


def report(asked: Asked) -> dict[str, Any]:
    """Everything about the plan.

    Returns:
        "fits": whether `classify` answers there for a picture and its note; "slow": whether it reads the weights from
        the disk for every answer; "device", "encoders", "options" (the most comfortable first), "for_one" and
        "for_many" (the keys of those that `classify` takes by itself), "advice" (what to change) and "notes".
    """
    found = options(asked)
    one, many = next(option for option in found if option.key == ONE_ANSWER), for_many(asked)
    subject, device = asked.subject, asked.device
    return {
        "schema": SCHEMA,
        "kind": "plan",
        "name": subject.name,
        "fits": one.fits,
        "slow": bool(one.read_again_bytes),
        "device": {
            "memory_bytes": device.memory_bytes,
            "memory_words": device.memory_words,
            "disk_bytes": device.disk_bytes,
            "disk_words": device.disk_words,
            "is_here": device.is_here,
        },
        "encoders": {
            candidate.modality: {"title": candidate.title, **asdict(candidate.facts)}
            for candidate in (subject.image, subject.text)
        },
        "for_one": one.key,
        "for_many": many if one.fits_disk else None,
        "options": [_option(option) for option in found],
        "advice": _advice(found, one),
        "notes": _notes(asked, one, many),
    }


def _option(option: Option) -> dict[str, Any]:
    return {
        "key": option.key,
        "words": option.words,
        "same_kit": option.is_same_kit,
        "fits": option.fits,
        "fits_memory": option.fits_memory,
        "fits_disk": option.fits_disk,
        "memory_bytes": option.memory_bytes,
        "disk_bytes": option.disk_bytes,
        "read_again_bytes": option.read_again_bytes,
        "moments": [_moment(moment) for moment in option.moments],
    }


def _moment(moment: Moment) -> dict[str, Any]:
    need = asdict(moment.need)
    return {
        "does": list(moment.does),
        "ways": [{"engine": way.engine, "memory": way.memory} for way in moment.ways],
        "memory_bytes": moment.memory_bytes,
        "anonymous_bytes": PROCESS + moment.need.anonymous,
        "parts": {f"{name}_bytes": size for name, size in need.items()}
        | {"process_bytes": PROCESS, "reserve_bytes": RESERVE},
    }


def _advice(found: list[Option], one: Option) -> list[str]:
    """What to change; nothing where one answer fits and its weights stay in memory."""
    if one.is_comfortable:
        return []
    helps = [option for option in found if _is_change(option, one) and option.is_comfortable]
    return [f"What helps: {option.words}." for option in helps] or [
        "None of the encoders that are known here would do well; take a device with more memory or disk."
    ]


def _notes(asked: Asked, one: Option, many: str | None) -> list[str]:
    """Why it does not fit, or what to know where it does."""
    device, text = asked.device, asked.subject.text.facts
    said = []
    if not one.fits_memory:
        needed, left = said_size(one.memory_bytes), said_size(device.memory_bytes)
        said.append(f"One answer needs {needed} of memory, and {left} are left.")
    if not one.fits_disk:
        needed, free = said_size(one.disk_bytes), said_size(device.disk_bytes)
        said.append(f"The kit and its text cache need {needed} of disk, and {free} are free.")
    if one.fits and one.read_again_bytes:
        again = said_size(one.read_again_bytes)
        said.append(f"The weights do not stay in memory: {again} are read from the disk for every answer.")
    if one.fits and many is None:
        said.append("Many samples in one run do not fit, since both encoders stay open then; answer them one by one.")
    if text.format == "gguf" and not (device.is_here and platform.machine() != "aarch64"):
        twice = said_size(repacked_and_mapped(text))
        said.append(
            f"llama.cpp by its own settings would hold {twice} for the text encoder's weights on an Arm processor, "
            "mapped and repacked; edgefuse never does both."
        )
    return said


def _is_change(option: Option, one: Option) -> bool:
    """Whether it is another kit than the one that is asked about, or less of an answer."""
    return option.key == "image-only" or (option.key != one.key and option.key not in ("normal", "low"))
