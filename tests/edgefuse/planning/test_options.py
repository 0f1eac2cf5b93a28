"""Which ways to answer fit a device: the same plan as `classify` makes, told beforehand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse.answering.memory import Request
from edgefuse.answering.memory import plan as answering_plan
from edgefuse.kits.kit import Kit
from edgefuse.planning.device import Device, device
from edgefuse.planning.options import Asked, Option, for_many, options
from edgefuse.planning.subject import head_bytes, named, of_kit, of_names
from edgefuse_runtimes.errors import BadInput, DoesNotFit
from edgefuse_runtimes.machine import AvailableMemory
from edgefuse_runtimes.memory_plan import PROCESS, repacked_and_mapped
from edgefuse_runtimes.spec import Modality

pytestmark = pytest.mark.field

MIB, GIB = 2**20, 2**30
AUTO: dict[Modality, str] = {"image": "auto", "text": "auto"}
BIG = of_names("dinov2-base", "llama-2-7b")


def a_device(memory: int, disk: int = 64 * GIB, *, is_here: bool = False) -> Device:
    return Device(memory, "of the test", disk, "of the test", is_here)


def found(asked: Asked) -> dict[str, Option]:
    return {option.key: option for option in options(asked)}


@pytest.mark.parametrize("size", [20, 60, 75, 80, 90, 100, 120, 150, 400])
def test_what_fits_is_what_classify_would_do(tiny_kit: Path, size: int) -> None:
    kit = Kit.open(tiny_kit)
    asked = Asked(of_kit(kit), a_device(size * MIB, is_here=True))
    left = AvailableMemory(size * MIB - PROCESS, "of the test")
    specs = {spec.modality: spec for spec in (kit.text, kit.image)}
    fits = {}
    for kept in (False, True):
        try:
            chosen = answering_plan(Request(kit, specs, AUTO, "auto", None, kept), left)
        except DoesNotFit:
            fits[kept] = None
        else:
            fits[kept] = "normal" if any(one.memory == "normal" for one in chosen.values()) else "low"

    for modality in ("text", "image"):  # the photograph is decoded smaller for classify, and counts apart
        moment = next(one for one in found(asked)["text-first"].moments if one.does == (modality,))
        try:
            answering_plan(Request(kit, {modality: specs[modality]}, AUTO, "auto", None, kept=False), left)
        except DoesNotFit:
            assert moment.memory_bytes > size * MIB
        else:
            assert moment.memory_bytes <= size * MIB
    assert for_many(asked) == fits[True]


@given(st.integers(0, 16 * GIB), st.integers(0, 16 * GIB))
def test_what_fits_little_memory_fits_more(one: int, other: int) -> None:
    less, more = sorted((one, other))
    in_less, in_more = found(Asked(BIG, a_device(less))), found(Asked(BIG, a_device(more)))

    for key in ("normal", "low", "text-first", "q4", "image-only"):
        assert in_more[key].fits_memory >= in_less[key].fits_memory


def test_the_options_become_more_frugal() -> None:
    by_key = found(Asked(BIG, a_device(700 * MIB)))
    keys = ("normal", "low", "text-first", "smaller-text", "image-only")
    needed = [by_key[key].memory_bytes for key in keys]

    assert needed == sorted(needed, reverse=True)
    assert [by_key[key].fits for key in keys] == [False, True, True, True, True]


def test_seven_billion_weights_in_a_gigabyte_are_read_again_for_every_answer() -> None:
    small, large = (found(Asked(BIG, a_device(size * GIB)))["text-first"] for size in (1, 12))

    assert small.fits
    assert not small.is_comfortable
    assert small.read_again_bytes == BIG.text.facts.weight_bytes
    assert large.is_comfortable


def test_llama_by_its_own_settings_holds_13_3_gib_on_arm() -> None:
    assert f"{repacked_and_mapped(BIG.text.facts) / GIB:.1f}" == "13.3"


def test_a_smaller_encoder_is_the_largest_that_fits() -> None:
    by_key = found(Asked(BIG, a_device(GIB, 4 * GIB)))

    assert not by_key["text-first"].fits_disk
    assert by_key["smaller-text"].fits
    assert "TinyLlama-1.1B" not in by_key["smaller-text"].words  # its 1.1 GiB would be read again for every note
    assert "SmolLM2-360M" in by_key["smaller-text"].words


def test_both_encoders_are_changed_only_where_one_is_not_enough() -> None:
    huge = of_names("dinov2-giant", "llama-2-7b", "fp32")
    changed, kept = found(Asked(huge, a_device(GIB, GIB))), found(Asked(huge, a_device(16 * GIB)))

    assert changed["smaller-both"].is_comfortable
    assert not any(changed[key].fits for key in ("text-first", "smaller-text", "smaller-image", "image-only"))
    assert "smaller-both" not in kept


def test_a_kit_takes_its_files_and_the_text_cache(tiny_kit: Path) -> None:
    kit = Kit.open(tiny_kit)
    files = sum(file["bytes"] for file in kit.files.values())

    assert of_kit(kit).disk_bytes == files
    assert found(Asked(of_kit(kit), a_device(GIB)))["text-first"].disk_bytes == files + 64_000_000


def test_another_precision_that_the_kit_carries_changes_memory_and_no_file() -> None:
    in_fp32 = of_names("dinov2-base", "all-minilm-l6", "fp32")
    carried = sum(one.facts.weight_bytes for one in in_fp32.alternatives)
    kit = replace(in_fp32, carried_bytes=carried)
    asked = Asked(kit, a_device(2 * GIB))

    by_key = found(asked)
    assert by_key["image-int8"].is_same_kit
    assert by_key["image-int8"].disk_bytes == by_key["text-first"].disk_bytes
    assert by_key["image-int8"].memory_bytes < by_key["text-first"].memory_bytes
    named_only = found(Asked(in_fp32, asked.device))["image-int8"]
    assert not named_only.is_same_kit
    assert named_only.disk_bytes < by_key["image-int8"].disk_bytes


def test_an_engine_that_is_asked_for_is_the_one_that_is_planned() -> None:
    for engine in ("numpy", "llama.cpp"):
        text = found(Asked(BIG, a_device(8 * GIB), engine))["text-first"].moments[1]
        assert [way.engine for way in text.ways] == [engine]


def test_heads_are_as_large_as_those_of_real_kits() -> None:
    assert head_bytes(384, 384) == pytest.approx(809_182, rel=0.05)
    assert head_bytes(576, 384) == pytest.approx(1_688_008, rel=0.05)


def test_unknown_names_and_precisions_are_refused_with_what_there_is() -> None:
    with pytest.raises(BadInput, match=r"'llama' is no text encoder that plan knows; choose one of .*llama-2-7b"):
        named("text", "llama")
    with pytest.raises(BadInput, match="Neither encoder can be exported in 'fp16'"):
        of_names("dinov2-small", "llama-2-7b", "fp16")


def test_a_device_that_is_not_here_leaves_its_system_some_memory() -> None:
    there = device(GIB, 8 * GIB, system=256 * MIB)

    assert (there.memory_bytes, there.disk_bytes, there.is_here) == (768 * MIB, 8 * GIB, False)
    assert all(there.usable(engine) for engine in [*_engines()])


def test_without_sizes_it_is_this_machine_with_the_room_that_the_kit_has(
    tiny_kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgefuse.planning.device.available_memory", lambda: AvailableMemory(100 * MIB, "the limit"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tiny_kit.parent / "not" / "yet"))
    here, elsewhere = device(None, None, kit=tiny_kit), device(None, None)

    assert here.is_here
    assert 100 * MIB < here.memory_bytes < 100 * MIB + 2 * GIB
    assert str(tiny_kit.parent) in here.disk_words
    assert here.disk_bytes - elsewhere.disk_bytes > 0


def _engines() -> list[object]:
    from edgefuse_runtimes.encoder import ENGINES

    return [engine for engines in ENGINES.values() for engine in engines]
