"""From a picture and a note to an answer, with a kit of tiny random encoders."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefuse import Classifier
from edgefuse.answering.memory import Chosen, Request, plan
from edgefuse.answering.prediction import Prediction
from edgefuse.answering.text_cache import cache_folder
from edgefuse.datasets import Sample, open_dataset
from edgefuse.embeddings.table import open_table
from edgefuse.kits.kit import Kit
from edgefuse_runtimes.alignment import align_image, align_text
from edgefuse_runtimes.contract import Batch
from edgefuse_runtimes.errors import BadInput, DoesNotFit, EngineUnavailable
from edgefuse_runtimes.files import sha256
from edgefuse_runtimes.fusion import Head, logits
from edgefuse_runtimes.gguf.with_numpy import GgufNumpyEncoder
from edgefuse_runtimes.machine import AvailableMemory
from edgefuse_runtimes.onnx.with_numpy import OnnxNumpyEncoder
from edgefuse_runtimes.spec import Modality
from edgefuse_runtimes.verdicts import Verdict, forget
from edgefuse_runtimes.worker_process import EngineDied

NOTE = "Age: 45 years. Sex: male. Localization: trunk."


@pytest.fixture
def picture(tiny_kit: Path) -> Path:
    return tiny_kit / "golden" / "1.png"


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


def test_threads_take_turns(tiny_kit: Path, picture: Path) -> None:
    with Classifier.open(tiny_kit, engine="numpy") as classifier, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: classifier.predict(picture, NOTE).probabilities, range(8)))
    assert all(answer == answers[0] for answer in answers)


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


# One modality alone


def drawn_sample(tiny_workshop: Path) -> Sample:
    return open_dataset("drawn", tiny_workshop / "drawn").samples[3]


def test_one_modality_alone_is_answered_by_its_own_head_and_opens_its_own_encoder_only(
    tiny_workshop: Path, tiny_kit: Path
) -> None:
    """The probabilities are those of the row of the table, with which the head was trained and judged."""
    table, sample = open_table(tiny_workshop / "table"), drawn_sample(tiny_workshop)
    row = table.ids.tolist().index(sample.id)
    with Classifier.open(tiny_kit, engine="numpy") as classifier:
        head = classifier.kit.head
        by_picture = classifier.predict(sample.image, None)
        assert (classifier._image.is_open, classifier._text.is_open) == (True, False)
    with Classifier.open(tiny_kit, engine="numpy") as classifier:
        by_note = classifier.predict(None, sample.text)
        assert (classifier._image.is_open, classifier._text.is_open) == (False, True)
        by_both = classifier.predict(sample.image, sample.text)
    for found, part, wanted in [
        (by_picture, "image_only", softmax(head.image_only, {"image": align_image(head.alignment, table.image[row])})),
        (by_note, "text_only", softmax(head.text_only, {"text": align_text(head.alignment, table.text[row])})),
    ]:
        scaled = wanted ** (1 / head.temperatures_alone[part])  # softmax(logits / T) is softmax(logits)^(1/T), scaled
        assert list(found.probabilities.values()) == pytest.approx(scaled / scaled.sum(), abs=1e-5)
        assert found.probabilities != by_both.probabilities


def softmax(head: Head, vectors: dict[str, np.ndarray]) -> np.ndarray:
    powers = np.exp(logits(head, vectors).astype(np.float64))
    return powers / powers.sum()


def test_the_figures_in_the_answer_are_those_of_the_predictions_that_it_gives(
    tiny_workshop: Path, tiny_kit: Path
) -> None:
    table, dataset = open_table(tiny_workshop / "table"), open_dataset("drawn", tiny_workshop / "drawn")
    test = {name for name, split in zip(table.ids, table.splits, strict=True) if split == "test"}
    samples = [sample for sample in dataset.samples if sample.id in test]
    recorded = Kit.open(tiny_kit).manifest["evaluation"]
    assert recorded["n"] == len(samples)
    with Classifier.open(tiny_kit, engine="numpy") as classifier:
        for part, ask in {
            "image_only": lambda sample: classifier.predict(sample.image, None),
            "text_only": lambda sample: classifier.predict(None, sample.text),
        }.items():
            right = [ask(sample).label == sample.label for sample in samples]
            assert np.mean(right) == pytest.approx(recorded["metrics"][part]["accuracy"])


def test_an_answer_names_what_was_missing_and_how_good_it_is(tiny_kit: Path, picture: Path) -> None:
    metrics, n = (Kit.open(tiny_kit).manifest["evaluation"][name] for name in ("metrics", "n"))
    image_only, text_only, fused = (f"{metrics[name]['accuracy']:.2f}" for name in ("image_only", "text_only", "fused"))
    with Classifier.open(tiny_kit, engine="numpy") as classifier:
        by_picture, by_note = classifier.predict(picture, None), classifier.predict(None, NOTE)
    assert (by_picture.image, by_picture.missing) == (str(picture), ["text"])
    assert (by_note.image, by_note.missing) == (None, ["image"])
    assert by_picture.engines == {"image": "numpy", "text": None}
    assert by_note.precisions == {"image": None, "text": "q8_0"}
    assert by_picture.timings_ms["text"] == by_note.timings_ms["image"] == 0
    rows = f"on {n} test rows of the drawn example"
    assert by_picture.notes == [
        f"No note was given: the image-only head answered (accuracy {image_only} {rows}, the fused head {fused})."
    ]
    assert by_note.notes == [
        f"No picture was given: the text-only head answered (accuracy {text_only} {rows}, the fused head {fused})."
    ]


def test_neither_picture_nor_note_is_refused(tiny_kit: Path) -> None:
    with pytest.raises(BadInput, match="neither a picture nor a note"):
        Classifier.open(tiny_kit).predict(None, None)


def test_a_kit_that_learned_from_leaks_says_so_in_every_answer(
    tiny_kit: Path, picture: Path, tmp_path: Path, repack: Callable[..., None]
) -> None:
    leaking = Path(shutil.copytree(tiny_kit, tmp_path / "leaking.kit"))
    repack(leaking, lambda manifest: manifest["dataset"].update(leaks=["dx_type"], split="paper"))
    with Classifier.open(leaking, engine="numpy") as classifier:
        fields, split = classifier.predict(picture, NOTE).notes
    assert fields.startswith("LEAK: the notes hold dx_type, which tells the label")
    assert split.startswith("LEAK: the split is the paper's, by picture")


def test_a_kit_of_an_older_edgefuse_says_what_it_lacks(
    tiny_kit: Path, picture: Path, tmp_path: Path, repack: Callable[..., None]
) -> None:
    old = Path(shutil.copytree(tiny_kit, tmp_path / "old.kit"))
    repack(old, lambda manifest: manifest["head"].pop("temperatures_alone"))
    with Classifier.open(old, engine="numpy") as classifier:
        assert classifier.predict(picture, NOTE).notes == []
        answer = classifier.predict(picture, None)
        vectors = classifier._image.encode_picture(classifier.read(picture, None).pixels)[0]
    head = classifier.kit.head
    plain = softmax(head.image_only, {"image": align_image(head.alignment, vectors)})
    assert list(answer.probabilities.values()) == pytest.approx(plain, abs=1e-5)
    assert len(answer.notes) == 2
    assert "trained this kit without a temperature for its image-only head" in answer.notes[1]
    repack(old, lambda manifest: manifest["evaluation"]["metrics"].pop("image_only"))
    with Classifier.open(old, engine="numpy") as classifier:
        assert "the kit records no accuracy of it; pack it again" in classifier.predict(picture, None).notes[0]


def test_the_figures_that_an_older_edgefuse_packed_are_told(
    tiny_kit: Path, picture: Path, tmp_path: Path, repack: Callable[..., None]
) -> None:
    old = Path(shutil.copytree(tiny_kit, tmp_path / "old.kit"))
    metrics = {name: {"accuracy": 0.5, "macro_f1": 0.25} for name in ("majority", "text_only", "image_only", "fused")}
    schema_1 = {"schema": 1, "drawn": True, "n": 40, "groups": 40, "metrics": metrics}
    repack(old, lambda manifest: manifest.update(evaluation=schema_1))
    with Classifier.open(old, engine="numpy") as classifier:
        [note] = classifier.predict(picture, None).notes
    assert "(accuracy 0.50 on 40 test rows of the drawn example, the fused head 0.50)" in note


# The text cache


def test_a_known_note_gets_the_same_answer_without_the_text_encoder(tiny_kit: Path, picture: Path) -> None:
    long = "x" * 2000
    with Classifier.open(tiny_kit, engine="numpy") as classifier:
        first = [classifier.predict(picture, NOTE), classifier.predict(None, long)]
    with Classifier.open(tiny_kit, engine="numpy", keep_open=False) as classifier:
        second = [classifier.predict(picture, NOTE), classifier.predict(None, f"{long}\n")]
        assert not classifier._text.is_open
        assert classifier.predict(picture, "Something else.").cached == []
    assert [answer.cached for answer in first + second] == [[], [], ["text"], ["text"]]
    for fresh, known in zip(first, second, strict=True):
        assert known.probabilities == fresh.probabilities
        assert (known.engines, known.notes, known.missing) == (fresh.engines, fresh.notes, fresh.missing)
    assert "tokens were not read" in second[1].notes[0]


def test_a_known_note_needs_no_text_encoder_that_works(
    tiny_kit: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Classifier.open(tiny_kit, engine="numpy") as classifier:
        wanted = classifier.predict(picture, NOTE).probabilities
    monkeypatch.setattr("edgefuse.answering.stage.Stage.encode_tokens", None)
    monkeypatch.setattr("edgefuse.answering.stage.tokenizer_of", None)
    with Classifier.open(tiny_kit, engine="numpy") as classifier:
        assert classifier.predict(picture, NOTE).probabilities == wanted


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


def test_without_the_cache_nothing_is_looked_up_or_kept(tiny_kit: Path, picture: Path) -> None:
    for _ in range(2):
        with Classifier.open(tiny_kit, engine="numpy", cache=False) as classifier:
            assert classifier.predict(picture, NOTE).cached == []
    assert not cache_folder().exists()


def test_another_encoder_is_never_answered_for_by_the_cache(
    tiny_kit: Path, picture: Path, tmp_path: Path, repack: Callable[..., None]
) -> None:
    """Other weights under the same name in the same place: put there alone, and as a kit that was upgraded."""
    kit = Path(shutil.copytree(tiny_kit, tmp_path / "my.kit"))
    before = answer_of(kit, picture)
    assert answer_of(kit, picture).cached == ["text"]
    text = kit / "text.gguf"
    data = bytearray(text.read_bytes())
    data[-6800:-3400] = data[-3400:]  # 100 blocks of the last layer's weights, 34 bytes each
    text.write_bytes(data)
    altered = answer_of(kit, picture)
    repack(kit, lambda manifest: manifest["encoders"]["text"].update(sha256=sha256(text)))
    upgraded = answer_of(kit, picture)
    assert altered.cached == upgraded.cached == []
    assert altered.probabilities == upgraded.probabilities != before.probabilities


def answer_of(kit: Path, picture: Path) -> Prediction:
    with Classifier.open(kit, engine="numpy") as classifier:
        return classifier.predict(picture, NOTE)


def test_a_vector_of_one_engine_does_not_stand_for_another(tiny_kit: Path, picture: Path) -> None:
    pytest.importorskip("llama_cpp", reason="the other engine")
    answers = []
    for engine in ("numpy", "llama.cpp", "numpy", "llama.cpp"):
        with Classifier.open(tiny_kit, engine=engine) as classifier:
            answers.append(classifier.predict(None, NOTE))
    assert [answer.engines["text"] for answer in answers] == ["numpy", "llama.cpp", "numpy", "llama.cpp"]
    assert [answer.cached for answer in answers] == [[], [], ["text"], ["text"]]
    assert answers[2].probabilities == answers[0].probabilities
    assert answers[3].probabilities == answers[1].probabilities


@pytest.mark.parametrize(("failure", "then"), [(EngineUnavailable, []), (EngineDied, ["text"])])
def test_a_vector_of_numpy_is_kept_only_where_numpy_would_run_the_next_time(
    tiny_kit: Path, monkeypatch: pytest.MonkeyPatch, failure: type[EngineUnavailable], then: list[str]
) -> None:
    """An engine that hung may be right another day; one that died is not asked again."""

    def fail(self: object, batch: Batch) -> np.ndarray:
        raise failure("The engine process llama.cpp on text.gguf gave no answer.")

    failing = type("Failing", (GgufNumpyEncoder,), {"encode": fail})
    monkeypatch.setattr("edgefuse_runtimes.encoder.probe", lambda *_, **__: Verdict(True, ""))
    monkeypatch.setattr("edgefuse_runtimes.encoder.is_installed", lambda engine: True)
    monkeypatch.setattr("edgefuse_runtimes.gguf.with_llama_cpp.LlamaCppEncoder", failing)
    answers = []
    for _ in range(2):
        with Classifier.open(tiny_kit) as classifier:
            answers.append(classifier.predict(None, NOTE))
    assert [answer.cached for answer in answers] == [[], then]
    assert [answer.engines["text"] for answer in answers] == ["numpy", "numpy"]
    assert answers[0].notes == answers[1].notes
    assert "llama.cpp on text.gguf gave no answer; numpy runs text.gguf instead." in answers[0].notes[0]


def test_an_engine_whose_verdict_was_forgotten_comes_back_for_a_known_note_too(
    tiny_kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(self: object, batch: Batch) -> np.ndarray:
        raise EngineDied("The engine process llama.cpp on text.gguf died.")

    def answer() -> Prediction:
        with Classifier.open(tiny_kit) as classifier:
            return classifier.predict(None, NOTE)

    engine = "edgefuse_runtimes.gguf.with_llama_cpp.LlamaCppEncoder"
    monkeypatch.setattr("edgefuse_runtimes.encoder.probe", lambda *_, **__: Verdict(True, ""))
    monkeypatch.setattr("edgefuse_runtimes.encoder.is_installed", lambda engine: True)
    monkeypatch.setattr(engine, type("Dies", (GgufNumpyEncoder,), {"encode": die}))
    before = [answer(), answer()]
    monkeypatch.setattr(engine, GgufNumpyEncoder)  # it was mended
    assert forget(lambda record: True)
    after = [answer(), answer()]
    assert [found.cached for found in before + after] == [[], ["text"], [], ["text"]]
    assert ["died; numpy runs text.gguf instead." in " ".join(found.notes) for found in before + after] == [
        True, True, False, False,
    ]  # fmt: skip


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
