"""The plan of a kit's encoders, with the memory that a test says there is."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import util
from pathlib import Path

import numpy as np
import pytest

from edgefuse import Classifier
from edgefuse.answering.memory import Chosen, MemorySetting, Request, plan
from edgefuse.kits.kit import Kit
from edgefuse_runtimes.errors import DoesNotFit
from edgefuse_runtimes.machine import AvailableMemory, process_memory, return_freed_memory
from edgefuse_runtimes.spec import Modality

MIB = 2**20
PLENTY, LITTLE, TIGHT, TOO_LITTLE = (AvailableMemory(size * MIB, "a limit of the test") for size in (8192, 80, 58, 20))
NOTE = "Age: 45 years."


def request(
    folder: Path,
    *,
    engine: str = "auto",
    memory: MemorySetting = "auto",
    precision: str | None = None,
    only: Modality | None = None,
    kept: bool = False,
) -> Request:
    kit = Kit.open(folder)
    specs = {spec.modality: spec for spec in kit.encoders(precision) if only in (None, spec.modality)}
    return Request(kit, specs, dict.fromkeys(specs, engine), memory, NOTE, kept)


def test_plenty_of_memory_is_used_and_little_is_spared(tiny_kit: Path) -> None:
    kept = request(tiny_kit, engine="numpy", kept=True)
    assert plan(kept, PLENTY) == {"image": Chosen("numpy", "normal"), "text": Chosen("numpy", "normal")}
    assert {chosen.memory for chosen in plan(kept, TIGHT).values()} == {"low"}


@pytest.mark.skipif(not util.find_spec("onnxruntime"), reason="needs onnxruntime, which can")
def test_pictures_go_side_by_side_where_there_is_room_for_them(tiny_kit: Path) -> None:
    batch = replace(request(tiny_kit, engine="onnxruntime", kept=True), side_by_side=4)
    chosen = plan(batch, PLENTY)
    assert (chosen["image"].side_by_side, chosen["text"].side_by_side) == (True, False)

    in_turn = AvailableMemory(PLENTY.bytes, "a limit of the test")
    while plan(batch, in_turn)["image"].side_by_side:
        in_turn = AvailableMemory(in_turn.bytes - 4 * MIB, "a limit of the test")
    assert plan(batch, in_turn)["image"] == Chosen("onnxruntime", "normal")
    assert plan(replace(batch, memory="low"), PLENTY)["image"] == Chosen("onnxruntime", "low")


def test_for_one_answer_nothing_is_made_ready(tiny_kit: Path) -> None:
    chosen = plan(request(tiny_kit, engine="numpy"), PLENTY)
    assert {one.memory for one in chosen.values()} == {"low"}


@pytest.mark.parametrize("memory", ["low", "normal"])
def test_what_was_asked_for_is_kept(tiny_kit: Path, memory: MemorySetting) -> None:
    chosen = plan(request(tiny_kit, engine="numpy", memory=memory), TIGHT)

    assert {one.memory for one in chosen.values()} == {memory}


@pytest.mark.skipif(not util.find_spec("onnxruntime"), reason="needs onnxruntime, which numpy then replaces")
def test_numpy_takes_over_where_a_native_engine_does_not_fit(tiny_kit: Path) -> None:
    chosen = plan(request(tiny_kit, only="image"), TIGHT)["image"]

    assert (chosen.engine, chosen.memory) == ("numpy", "low")
    assert len(chosen.remarks) == 1
    assert re.fullmatch(
        r"onnxruntime needs \d+ MiB of memory for image\.onnx and 58 MiB are available \(a limit of the test\); "
        r"numpy runs it instead\.",
        chosen.remarks[0],
    )
    assert plan(request(tiny_kit, only="image"), PLENTY)["image"] == Chosen("auto", "low")


@pytest.mark.skipif(not util.find_spec("onnxruntime"), reason="needs onnxruntime, which is asked for")
def test_an_engine_that_was_asked_for_is_never_replaced_but_named_as_what_to_change(tiny_kit: Path) -> None:
    with pytest.raises(DoesNotFit, match="what helps: --engine auto with --memory auto"):
        plan(request(tiny_kit, engine="onnxruntime", only="image"), TIGHT)


def test_the_sentence_says_what_is_needed_what_there_is_and_what_helps(tiny_kit: Path) -> None:
    with pytest.raises(DoesNotFit) as caught:
        plan(request(tiny_kit), TOO_LITTLE)

    assert caught.value.exit_code == 7
    assert re.fullmatch(
        r"The (image|text) encoder of the kit tiny needs \d+ MiB of memory and 20 MiB are available "
        r"\(a limit of the test\); what helps: .*more free memory\.",
        str(caught.value),
    )


def test_encoders_that_stay_open_are_named_together(tiny_kit: Path) -> None:
    with pytest.raises(DoesNotFit, match="The image encoder and the text encoder of the kit tiny need "):
        plan(request(tiny_kit, kept=True), TOO_LITTLE)


def test_nothing_is_opened_where_it_does_not_fit(tiny_kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgefuse.answering.classifier.available_memory", lambda: TOO_LITTLE)
    monkeypatch.setattr("edgefuse.answering.stage.open_encoder", None)

    with Classifier.open(tiny_kit) as classifier, pytest.raises(DoesNotFit):
        classifier.predict(tiny_kit / "golden" / "0.png", NOTE)


def test_the_answer_tells_what_the_plan_replaced(tiny_kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgefuse.answering.classifier.available_memory", lambda: TIGHT)

    with Classifier.open(tiny_kit, keep_open=False) as classifier:
        prediction = classifier.predict(tiny_kit / "golden" / "0.png", NOTE)

    native = [name for name, module in (("llama.cpp", "llama_cpp"), ("onnxruntime", "onnxruntime")) if _has(module)]
    assert [note.split()[0] for note in prediction.notes] == native
    assert prediction.engines == {"image": "numpy", "text": "numpy"}


def test_freed_memory_goes_back_to_the_system() -> None:
    held = [np.ones(2000, np.float32) for _ in range(10_000)]  # 76 MiB in pieces that the allocator keeps when freed
    keeper = np.ones(2000, np.float32)
    before = process_memory().anon_bytes
    del held

    return_freed_memory()

    assert process_memory().anon_bytes <= before - 60 * MIB
    assert keeper.sum() == 2000


def _has(module: str) -> bool:
    return util.find_spec(module) is not None
