"""Whether a device has what a kit needs, asked before the first byte of it is written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import psutil

from edgefuse.platforms import require_supported
from edgefuse.progress import in_bytes
from edgefuse_runtimes.cgroup import limited_groups
from edgefuse_runtimes.encoder import ENGINES
from edgefuse_runtimes.encoder_facts import EncoderFacts, longest
from edgefuse_runtimes.errors import BadInput, DoesNotFit
from edgefuse_runtimes.memory_plan import Way, least
from edgefuse_runtimes.spec import EncoderSpec

SPARE = 4 << 20
"""Bytes that must stay free beside the kit: for its record, and for what a file system needs itself."""
LARGEST_PAGE = 64 << 10
"""Bytes; wheels are linked for pages up to this size."""


def require_room(specs: Sequence[EncoderSpec], needed_bytes: int, place: Path, budget_ram: int | None) -> None:
    """Check system, Python, page size, memory and disk.

    Args:
        specs: the encoders that an answer runs, one after the other.
        needed_bytes: that would be written below `place`.
        place: the folder to write to, which may not exist yet.
        budget_ram: bytes of memory that the kit says it needs; None: it does not say.

    Raises:
        BadInput: edgefuse does not run here.
        DoesNotFit: there is too little memory or disk.
    """
    require_supported()
    page = os.sysconf("SC_PAGE_SIZE")
    if page > LARGEST_PAGE:
        raise BadInput(f"This system has pages of {page} bytes, for which no engine is built; use another one.")
    total = min([psutil.virtual_memory().total, *(group.limit_bytes for group in limited_groups())])
    least_ram = max(least_memory(specs), budget_ram or 0)
    if least_ram > total:
        raise DoesNotFit(
            f"The kit needs {in_bytes(least_ram)} of memory and this machine has {in_bytes(total)}; use a machine with "
            "more, or ask for a kit with a smaller text encoder."
        )
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if needed_bytes + SPARE > free:
        raise DoesNotFit(
            f"The kit needs {in_bytes(needed_bytes + SPARE)} of disk and {there} has {in_bytes(free)} free; make room, "
            "for example with 'edgefuse kits remove'."
        )


def least_memory(specs: Sequence[EncoderSpec]) -> int:
    """Bytes that the most frugal way of running one encoder after the other takes at the least.

    Less than what it will be: what only a text encoder's file tells is left out.
    """
    needs = []
    for spec in specs:
        facts = EncoderFacts(
            spec.format,
            spec.precision,
            spec.total_bytes,
            spec.width,
            longest(spec, ""),
            tokenizer_bytes=spec.tokenizer.bytes if spec.tokenizer else 0,
        )
        ways = [Way(engine.name, "low", bool(engine.child)) for engine in ENGINES[spec.format]]
        needs.append(least([(facts, ways)], kept=False))
    return max(needs)
