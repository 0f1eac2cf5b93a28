"""From a picture and a note to an answer, with a kit of tiny random encoders."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from edgefuse import Classifier
from edgefuse.answering.memory import Chosen, Request, plan
from edgefuse.kits.kit import Kit
from edgefuse_runtimes.contract import Batch
from edgefuse_runtimes.errors import BadInput, DoesNotFit, EngineUnavailable
from edgefuse_runtimes.gguf.with_numpy import GgufNumpyEncoder
from edgefuse_runtimes.machine import AvailableMemory, process_memory
from edgefuse_runtimes.onnx.with_numpy import OnnxNumpyEncoder
from edgefuse_runtimes.spec import Modality
from edgefuse_runtimes.verdicts import Verdict

NOTE = "Age: 45 years. Sex: male. Localization: trunk."


def test_an_answer_has_all_its_parts(tiny_kit: Path, picture: Path) -> None:
    with Classifier.open(tiny_kit, engine="numpy") as classifier:
        prediction = classifier.predict(str(picture), NOTE)
    assert prediction.image == str(picture)
    assert list(prediction.probabilities) == ["lumo", "pavi", "ziru"]
    assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert prediction.label == max(prediction.probabilities, key=prediction.probabilities.__getitem__)
    assert prediction.kit == {"name": "tiny", "version": "1", "digest": Kit.open(tiny_kit).digest}
    assert prediction.missing == []
    assert prediction.engines == {"image": "numpy", "text": "numpy"}
    times = prediction.timings_ms
    assert set(times) == {"load", "image", "decode", "text", "tokenise", "head", "total"}
    assert 0 < sum(times[name] for name in ("load", "image", "text", "head")) <= times["total"] + 0.1
    assert 0 < times["decode"] < times["image"]
    assert 0 < times["tokenise"] < times["text"]
    assert set(prediction.memory) == {"peak_rss_bytes", "anon_bytes", "file_bytes"}
    assert prediction.memory["peak_rss_bytes"] >= prediction.memory["anon_bytes"] > 0
    assert prediction.notes == []
    assert json.loads(json.dumps(prediction.to_json())) == prediction.to_json()


@pytest.mark.parametrize("engine", ["numpy", "auto"])
def test_golden_samples_get_the_packed_probabilities(tiny_kit: Path, engine: str) -> None:
    kit = Kit.open(tiny_kit)
    with Classifier.open(tiny_kit, engine=engine) as classifier:
        for golden in kit.manifest["golden"]:
            note = kit.file(golden["text"]).read_text()
            found = classifier.predict(kit.file(golden["image"]), note)
            assert list(found.probabilities.values()) == pytest.approx(golden["probabilities"], abs=0.02)


def test_a_path_its_bytes_and_a_pil_image_get_the_same_answer(tiny_kit: Path, picture: Path) -> None:
    with Classifier.open(tiny_kit, engine="numpy") as classifier:
        answers = [
            classifier.predict(form, NOTE)
            for form in (picture, str(picture), picture.read_bytes(), Image.open(picture))
        ]
    assert len({tuple(answer.probabilities.values()) for answer in answers}) == 1
    assert [answer.image for answer in answers[2:]] == ["(in memory)", "(in memory)"]


def test_encoders_stay_open_only_when_asked(tiny_kit: Path, picture: Path) -> None:
    with Classifier.open(tiny_kit, engine="numpy", keep_open=False) as once:
        first, second = once.predict(picture, NOTE), once.predict(picture, NOTE)
    assert first.probabilities == second.probabilities


def test_the_peak_counts_the_workers_of_both_encoders(tiny_kit: Path, picture: Path) -> None:
    with Classifier.open(tiny_kit) as classifier:
        prediction = classifier.predict(picture, NOTE)
        workers = psutil.Process().children(recursive=True)
        held = [process_memory(pid).peak_rss_bytes for pid in (os.getpid(), *(worker.pid for worker in workers))]
    if len(workers) < 2:
        pytest.skip("needs two native engines that are trusted here")
    assert prediction.memory["peak_rss_bytes"] == pytest.approx(sum(held), rel=0.03)


def test_threads_take_turns(tiny_kit: Path, picture: Path) -> None:
    with Classifier.open(tiny_kit, engine="numpy") as classifier, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: classifier.predict(picture, NOTE).probabilities, range(8)))
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("engine", ["numpy", "auto"])
@pytest.mark.parametrize("keep_open", [True, False])
def test_samples_together_get_the_answers_that_they_get_alone(
    tiny_kit: Path, picture: Path, engine: str, keep_open: bool
) -> None:
    turned = Image.open(picture).rotate(90)
    given: list[tuple[Any, str | None]] = [(picture, NOTE), (None, NOTE), (turned, None), (turned, "New, it bleeds.")]
    settings: dict[str, Any] = {"engine": engine, "threads": 2, "keep_open": keep_open, "cache": False}
    with Classifier.open(tiny_kit, **settings, side_by_side=True) as classifier:
        assert classifier.group == 1
        together = classifier.answer_together([classifier.read(*sample) for sample in given])
        assert classifier.group == (4 if together[0].engines["image"] == "onnxruntime" and keep_open else 1)
    with Classifier.open(tiny_kit, **settings) as classifier:
        assert classifier.group == 1
        alone = [classifier.predict(*sample) for sample in given]

    said = ("image", "label", "probabilities", "missing", "engines", "precisions", "notes")
    for one, other in zip(together, alone, strict=True):
        assert [vars(one)[name] for name in said] == [vars(other)[name] for name in said]
        times = one.timings_ms
        assert (times["image"] > times["decode"]) is (one.engines["image"] is not None)
        assert sum(times[name] for name in ("load", "image", "text", "head")) <= times["total"] + 0.1


@pytest.mark.parametrize("note", ["", "  \n\t "])
def test_an_empty_note_is_refused(tiny_kit: Path, picture: Path, note: str) -> None:
    with pytest.raises(BadInput, match="The note is empty"):
        Classifier.open(tiny_kit).predict(picture, note)


def test_a_long_note_is_cut_counted_and_noted(tiny_kit: Path, picture: Path) -> None:
    with Classifier.open(tiny_kit, engine="numpy") as classifier:
        limit = classifier.kit.text.tokenization.max_tokens
        whole = classifier.predict(picture, "x" * limit)
        one_over = classifier.predict(picture, "x" * (limit + 1))
        three_over = classifier.predict(picture, "x" * (limit + 3))
    assert whole.notes == []
    assert one_over.notes == ["The note is too long: its last 1 token was not read."]
    assert three_over.notes == ["The note is too long: its last 3 tokens were not read."]
    assert one_over.probabilities == whole.probabilities


def test_a_turned_photo_gets_the_answer_of_the_upright_one(tiny_kit: Path, picture: Path) -> None:
    upright = Image.open(picture).convert("RGB")
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn by 90 degrees clockwise to see it
    data = io.BytesIO()
    turned.save(data, "PNG", exif=exif)
    with Classifier.open(tiny_kit, engine="numpy") as classifier:
        expected = classifier.predict(upright, NOTE).probabilities
        assert classifier.predict(data.getvalue(), NOTE).probabilities == expected


def test_an_unreadable_picture_is_refused_before_the_note_is_read(tiny_kit: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    with Classifier.open(tiny_kit, engine="numpy") as classifier:
        with pytest.raises(BadInput, match="is not a picture"):
            classifier.predict(tmp_path / "text.jpg", NOTE)
        assert not classifier._text.is_open


def test_a_kit_that_learned_from_leaks_says_so_in_every_answer(
    tiny_kit: Path, picture: Path, tmp_path: Path, repack: Callable[..., None]
) -> None:
    leaking = Path(shutil.copytree(tiny_kit, tmp_path / "leaking.kit"))
    repack(leaking, lambda manifest: manifest["dataset"].update(leaks=["dx_type"], split="paper"))
    with Classifier.open(leaking, engine="numpy") as classifier:
        fields, split = classifier.predict(picture, NOTE).notes
    assert fields.startswith("LEAK: the notes hold dx_type, which tells the label")
    assert split.startswith("LEAK: the split is the paper's, by picture")


def test_encoders_that_stay_open_are_planned_together_whatever_the_first_sample_needs(
    tiny_kit: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned: list[set[str]] = []

    def recording(request: Request, available: AvailableMemory) -> dict[Modality, Chosen]:
        planned.append(set(request.specs))
        return plan(request, available)

    monkeypatch.setattr("edgefuse.answering.classifier.plan", recording)
    for note in (NOTE, NOTE, None):  # new, known, missing
        with Classifier.open(tiny_kit, engine="numpy") as classifier:
            classifier.predict(picture, note)
    assert planned == [{"image", "text"}] * 3
    with Classifier.open(tiny_kit, engine="numpy", keep_open=False) as classifier:
        classifier.predict(picture, NOTE)
    assert planned[3:] == [{"image"}]


def test_an_encoder_that_does_not_fit_is_in_nobodys_way_until_it_is_needed(
    tiny_kit: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_text(request: Request, available: AvailableMemory) -> dict[Modality, Chosen]:
        if "text" in request.specs:
            raise DoesNotFit("There is too little memory for the text encoder.")
        return plan(request, available)

    monkeypatch.setattr("edgefuse.answering.classifier.plan", no_text)
    with Classifier.open(tiny_kit, engine="numpy") as classifier:
        assert classifier.predict(picture, None).missing == ["text"]
        with pytest.raises(DoesNotFit, match="for the text encoder"):
            classifier.predict(picture, NOTE)


class Dying(OnnxNumpyEncoder):
    """A native engine that passed its probe and dies over a sample."""

    def encode(self, batch: Batch) -> np.ndarray:
        raise EngineUnavailable("The engine process fake on image.onnx was ended by signal SIGILL.")


def test_an_engine_that_dies_over_a_sample_is_replaced_by_numpy(
    tiny_kit: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Classifier.open(tiny_kit, engine="numpy") as classifier:
        expected = classifier.predict(picture, NOTE).probabilities
    monkeypatch.setattr("edgefuse_runtimes.onnx.with_onnxruntime.OnnxRuntimeWorker", Dying)
    monkeypatch.setattr("edgefuse_runtimes.encoder.probe", lambda *_, **__: Verdict(True, ""))
    monkeypatch.setattr("edgefuse_runtimes.gguf.with_llama_cpp.LlamaCppEncoder", GgufNumpyEncoder)
    said = ["The engine process fake on image.onnx was ended by signal SIGILL; numpy runs image.onnx instead."]
    with Classifier.open(tiny_kit) as classifier:
        for _ in range(2):
            answer = classifier.predict(picture, NOTE)
            assert (answer.probabilities, answer.engines["image"], answer.notes) == (expected, "numpy", said)
    with Classifier.open(tiny_kit, engine="onnxruntime") as named, pytest.raises(EngineUnavailable, match="SIGILL"):
        named.predict(picture, NOTE)
