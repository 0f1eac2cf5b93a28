"""What would make edgefuse faster or surer on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgefuse_runtimes.processor import multiplies_bytes

SELF_CLOCKED = ("intel_pstate", "amd-pstate", "amd-pstate-epp")
"""Drivers whose governor "powersave" raises the clock under load (the kernel's intel_pstate.rst, amd-pstate.rst)."""


def advice(report: dict[str, Any]) -> list[str]:
    """Sentences about a report of `examine` whose "machine", "engines" and "kit" are known."""
    return [*_engines(report), *_precisions(report), *_power_and_heat(report["machine"]), *_home(report["machine"])]


def _engines(report: dict[str, Any]) -> Iterator[str]:
    """Engines that are not installed, of those that the kit's files, or any kit's, could use."""
    machine, kit = report["machine"], report["kit"]
    formats = {encoder["format"] for encoder in kit["encoders"]} if kit else None
    for engine in report["engines"]:
        if engine["installed"] or (formats is not None and formats.isdisjoint(engine["formats"])):
            continue
        if (
            engine["engine"] == "llama.cpp"
            and machine["architecture"] == "x86_64"
            and "AVX2" not in machine["features"]
        ):
            yield "llama.cpp's usual builds need AVX2, which this processor lacks; numpy runs text.gguf."
        else:
            kinds = " and ".join(f".{file_format}" for file_format in engine["formats"])
            compiled = " (it is compiled there, which needs a C++ compiler)" if engine["engine"] == "llama.cpp" else ""
            yield f"{engine['engine']} runs {kinds} files faster than numpy: {engine['install']}{compiled}"


def _precisions(report: dict[str, Any]) -> Iterator[str]:
    """Files of another precision: those that cannot be used, and whether they may be faster."""
    encoders = report["kit"]["encoders"] if report["kit"] else []
    for encoder in encoders:
        if encoder["problem"] and not encoder["main"]:
            yield f"Do without --precision {encoder['precision']}: {encoder['problem']}"
    precisions = {encoder["precision"] for encoder in encoders if not encoder["problem"]}
    if {"int8", "fp32"} <= precisions and not multiplies_bytes(report["machine"]["features"]):
        yield (
            "This processor has no instructions for products of 8-bit numbers, so the kit's float32 files may be "
            f"faster: 'edgefuse tune {report['kit']['folder']}' measures both and keeps the choice."
        )


def _power_and_heat(machine: dict[str, Any]) -> Iterator[str]:
    """What slows the machine down from outside."""
    throttling, temperature = machine["sensors"]["throttling"], machine["sensors"]["temperature"]
    present, past = throttling.get("now", []), throttling.get("since_start", [])
    if "under-voltage" in (*present, *past):
        when = "is too low now" if "under-voltage" in present else "was too low since the machine was started"
        yield (
            f"The supply voltage {when}, which slows the machine down and can damage its SD card: use the power "
            "supply made for this board, with a short cable, and unplug what it feeds."
        )
    limit = temperature.get("slows_down_at")
    hot = limit is not None and temperature["celsius"] >= limit
    if hot or "soft temperature limit" in present:
        yield "The processor is slowed down by heat now: give it air or a heat sink, and let it cool before measuring."
    if machine["governor"] == "powersave" and machine["clock_driver"] not in SELF_CLOCKED:
        yield (
            "The governor powersave keeps the clock at its lowest; as root: "
            "echo ondemand > /sys/devices/system/cpu/cpufreq/policy0/scaling_governor"
        )


def _home(machine: dict[str, Any]) -> Iterator[str]:
    """Folders of this user that cannot be written, or are not there."""
    answers = machine["answers"]
    if not answers["writable"]:
        where = f"{answers['folder']} cannot be written" if answers["folder"] else "This user has no home folder"
        yield f"{where}, so answers are not stored; set EDGEFUSE_HOME to a folder that can be written."
    if not machine["writable"]:
        disk = machine["disk"]
        where = f"{disk['folder']} cannot be written" if disk else "This user has no home folder"
        yield f"{where}, so engines are probed at every start; set XDG_CACHE_HOME to a folder that can be written."
