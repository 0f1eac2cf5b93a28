"""Notes whose vectors are in the text cache: who may use them, and who may not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgefuse import Classifier
from edgefuse.answering.prediction import Prediction
from edgefuse.answering.text_cache import cache_folder
from edgefuse_runtimes.contract import Batch
from edgefuse_runtimes.errors import EngineUnavailable
from edgefuse_runtimes.files import sha256
from edgefuse_runtimes.gguf.with_numpy import GgufNumpyEncoder
from edgefuse_runtimes.verdicts import Verdict, forget
from edgefuse_runtimes.worker_process import EngineDied

NOTE = "Age: 45 years. Sex: male. Localization: trunk."


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
