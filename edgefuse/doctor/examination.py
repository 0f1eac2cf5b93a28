"""Whether this machine can answer, with which engines, and what would help: gathered as plain JSON types.

It must say something sensible on a machine where nothing works, so whatever may be missing is imported late.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefuse import __version__
from edgefuse.doctor.packages import base_packages
from edgefuse.platforms import Platform, unsupported
from edgefuse_runtimes.errors import BadInput, EdgefuseError

if TYPE_CHECKING:
    from edgefuse.answering.memory import MemorySetting


def examine(
    found: Platform, kit: Path | None, *, memory: MemorySetting = "auto", try_engines: bool = False
) -> dict[str, Any]:
    """All that is known about this machine and, where there is a kit, about running it here.

    Args:
        found: the platform; on one that is not supported, nothing else is looked at.
        kit: what the user named, a folder or an installed kit; None: the one that `classify` would use.
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
    report["packages"] = base_packages()
    report["problems"] = [
        f"{package['package']} cannot be imported ({package['problem']}); install it again with 'pip install edgefuse'."
        for package in report["packages"]
        if package["problem"]
    ]
    if not report["problems"]:
        _look(report, kit, memory, try_engines)
    return report | {"can_answer": not report["problems"]}


def _look(report: dict[str, Any], named: Path | None, memory: MemorySetting, try_engines: bool) -> None:
    """Fill in what needs the base packages."""
    from edgefuse.doctor.advice import advice
    from edgefuse.doctor.engines import engines
    from edgefuse.doctor.kit import look_at_kit
    from edgefuse.doctor.machine import machine
    from edgefuse.doctor.remembered import verdict_json
    from edgefuse.kits.active import find_kit
    from edgefuse.kits.standing import standing
    from edgefuse_runtimes.machine import cpu_model
    from edgefuse_runtimes.verdicts import records

    report["machine"] = machine()
    report["engines"] = engines()
    kit = _chosen_kit() if named is None else find_kit(named)
    if kit is None:
        report["advice"].append("No kit is chosen; name one with --kit, or bring one with 'edgefuse kits install KIT'.")
    else:
        note = None
        try:
            with contextlib.suppress(OSError):  # a user without a home has no trusted keys
                note = standing(kit)
            report["kit"] = look_at_kit(kit, memory, try_engines)
        except EdgefuseError as error:
            report["problems"].append(str(error))
            if named is None:
                report["advice"].append("Choose another kit with 'edgefuse kits use KIT'.")
        else:
            report["advice"] += [note] if note else []
            report["problems"] += [
                encoder["problem"] for encoder in report["kit"]["encoders"] if encoder["main"] and encoder["problem"]
            ]
    report["advice"] += advice(report)
    here = cpu_model()
    report["verdicts"] = [verdict_json(record) for record in records() if record.processor == here]


def _chosen_kit() -> Path | None:
    """The kit that `classify` would use; None where there is none, which is no fault of the machine."""
    from edgefuse.kits.active import find_kit

    try:
        return find_kit()
    except (BadInput, OSError):
        return None
