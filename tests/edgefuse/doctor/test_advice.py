"""What the doctor advises, on described machines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse.card import machine_card
from edgefuse.doctor.advice import advice
from edgefuse.doctor.machine import sensors

Recorded = Callable[[str], Path]

WELL = {
    "architecture": "aarch64",
    "features": ["NEON", "dot product"],
    "clock_driver": "cpufreq-dt",
    "governor": "ondemand",
    "writable": True,
    "answers": {"folder": "/home/me", "writable": True},
    "sensors": {name: {"not_measurable": "It is not."} for name in ("temperature", "clock", "throttling")},
}


def advised(
    kit: dict[str, Any] | None = None, engines: list[dict[str, Any]] | None = None, **machine: Any
) -> list[str]:
    return advice({"kit": kit, "engines": engines or [], "machine": WELL | machine})


def test_a_machine_that_is_well_needs_no_advice() -> None:
    assert advised() == []


def test_a_processor_without_avx2_is_not_sent_after_llama_cpp() -> None:
    engine = {"engine": "llama.cpp", "formats": ["gguf"], "installed": False, "install": "pip install"}
    (sentence,) = advised(engines=[engine], architecture="x86_64", features=["SSE4.2"])
    assert sentence.startswith("llama.cpp's usual builds need AVX2")


def test_a_kit_of_both_precisions_on_a_processor_without_products_of_bytes() -> None:
    encoders = [{"format": "onnx", "precision": precision, "problem": ""} for precision in ("int8", "fp32")]
    kit = {"folder": "/my.kit", "encoders": encoders}
    (sentence,) = advised(kit, features=["NEON"])
    assert "edgefuse tune /my.kit" in sentence
    assert advised(kit) == []


def throttled(now: list[str], since_start: list[str]) -> dict[str, Any]:
    return WELL["sensors"] | {"throttling": {"now": now, "since_start": since_start}}


@pytest.mark.parametrize(
    ("now", "since_start", "words"),
    [
        (["under-voltage"], ["under-voltage"], ["The supply voltage is too low now, "]),
        ([], ["under-voltage"], ["The supply voltage was too low since the machine was started"]),
        (["soft temperature limit"], [], ["The processor is slowed down by heat now"]),
        ([], ["clock capped", "throttled", "soft temperature limit"], []),  # it has cooled
        (["under-voltage", "throttled"], [], ["The supply voltage is too low now, "]),
    ],
)
def test_a_weak_power_supply_and_heat(now: list[str], since_start: list[str], words: list[str]) -> None:
    found = advised(sensors=throttled(now, since_start))
    assert len(found) == len(words)
    assert all(sentence.startswith(start) for sentence, start in zip(found, words, strict=True))


def test_heat_is_told_by_the_temperature_alone(recorded: Recorded) -> None:
    root = recorded("pi4")
    found = advised(**machine_card(root, "aarch64") | {"sensors": sensors(root)})
    assert [sentence.split(":")[0] for sentence in found] == ["The processor is slowed down by heat now"]


@pytest.mark.parametrize(("driver", "said"), [("cpufreq-dt", True), ("intel_pstate", False), ("acpi-cpufreq", True)])
def test_a_governor_that_keeps_the_clock_low(driver: str, said: bool) -> None:
    found = advised(governor="powersave", clock_driver=driver)
    assert any("governor powersave" in sentence for sentence in found) is said


@pytest.mark.parametrize(
    ("folder", "beginning"),
    [("/media/card", "/media/card cannot be written, so answers"), (None, "This user has no home folder, so answers")],
)
def test_answers_that_cannot_be_stored(folder: str | None, beginning: str) -> None:
    (sentence,) = advised(answers={"folder": folder, "writable": False})
    assert sentence.startswith(beginning)
    assert "EDGEFUSE_HOME" in sentence
