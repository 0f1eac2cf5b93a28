"""An engine that fails later costs no answer: numpy takes over with the very sample."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgefuse.kits.encoders import Encoders
from edgefuse.kits.golden import probe_sample
from edgefuse_runtimes import worker
from edgefuse_runtimes.contract import Encoder
from edgefuse_runtimes.encoder import open_encoder
from edgefuse_runtimes.errors import BadInput, EngineUnavailable
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.verdicts import records

Fake = Callable[..., Path]


@pytest.fixture
def encoders(tiny_encoders: Path) -> Encoders:
    return Encoders.open(tiny_encoders)


@pytest.fixture
def pictures() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(4, 3, 224, 224)).astype(np.float32)


@pytest.fixture
def notes() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 200, length).astype(np.int32) for length in (1, 9, 30, 100)]


def expected(encoders: Encoders, spec: EncoderSpec, batch: object) -> np.ndarray:
    with open_encoder(spec, encoders.folder, engine="numpy") as encoder:
        return encoder.encode(batch)  # type: ignore[arg-type]


def opened(encoders: Encoders, spec: EncoderSpec, said: list[str]) -> Encoder:
    return open_encoder(
        spec, encoders.folder, threads=1, probe_sample=probe_sample(encoders.file, spec), notify=said.append
    )


@pytest.mark.parametrize("name", ["SIGILL", "SIGSEGV", "SIGABRT"])
def test_a_death_in_the_middle_of_a_batch_costs_no_vector_and_is_remembered(
    encoders: Encoders, fake_engine: Fake, pictures: np.ndarray, name: str
) -> None:
    calls = fake_engine(f"if calls == 4: os.kill(os.getpid(), signal.{name})")  # the probe, and the third picture
    said: list[str] = []
    with opened(encoders, encoders.image, said) as encoder:
        assert encoder.info()["engine"] == "fake"
        vectors = encoder.encode(pictures)
        assert encoder.info()["engine"] == "numpy"
        np.testing.assert_array_equal(encoder.encode(pictures), vectors)
    np.testing.assert_allclose(vectors, expected(encoders, encoders.image, pictures), atol=1e-6)
    died = f"The engine process fake on image.onnx was ended by signal {name}"
    assert said == [f"{died}; numpy runs image.onnx instead."]
    (record,) = records()
    assert record.reason == f"it passed its probe and died later: {died}"

    again: list[str] = []
    with opened(encoders, encoders.image, again) as encoder:
        assert encoder.info()["engine"] == "numpy"
    assert again == [f"fake cannot be trusted with image.onnx here ({record.reason}); numpy runs it."]
    assert calls.read_text() == "xxxx"


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("if calls == 3: time.sleep(60)", "gave no answer within"),
        ("if calls == 3: os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("if calls == 3: raise EngineUnavailable('There is no room.')", "There is no room; numpy runs image.onnx"),
        ("if calls == 3: vectors = vectors * np.nan", "turns a sample into NaN"),
    ],
)
def test_any_other_failure_costs_no_vector_and_is_not_held_against_the_engine(
    encoders: Encoders,
    fake_engine: Fake,
    pictures: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    behaviour: str,
    reason: str,
) -> None:
    fake_engine(behaviour)
    monkeypatch.setattr(worker, "SECONDS", 6.0)
    said: list[str] = []
    with opened(encoders, encoders.image, said) as encoder:
        vectors = encoder.encode(pictures)
    np.testing.assert_allclose(vectors, expected(encoders, encoders.image, pictures), atol=1e-6)
    assert len(said) == 1
    assert reason in said[0]
    assert [record.trusted for record in records()] == [True]


def test_an_engine_that_dies_as_it_opens_is_replaced(
    encoders: Encoders, fake_engine: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_engine()
    opened(encoders, encoders.image, []).close()
    monkeypatch.setattr("fake_engine.WorkerEncoder.__init__", _dies)
    said: list[str] = []
    with opened(encoders, encoders.image, said) as encoder:
        assert encoder.info()["engine"] == "numpy"
    assert said == ["It is gone; numpy runs image.onnx instead."]


def _dies(*_: object, **__: object) -> None:
    raise EngineUnavailable("It is gone.")


def test_a_sample_that_is_refused_is_no_failure(encoders: Encoders, fake_engine: Fake, pictures: np.ndarray) -> None:
    fake_engine("if calls == 2: raise BadInput('This picture is bad.')")
    said: list[str] = []
    with opened(encoders, encoders.image, said) as encoder:
        with pytest.raises(BadInput, match="This picture is bad"):
            encoder.encode(pictures)
        assert encoder.encode(pictures).shape == (4, 24)
        assert encoder.info()["engine"] == "fake"
    assert said == []


def test_an_engine_that_was_named_is_never_replaced(
    encoders: Encoders, fake_engine: Fake, pictures: np.ndarray
) -> None:
    fake_engine("os.kill(os.getpid(), signal.SIGILL)")
    with (
        open_encoder(encoders.image, encoders.folder, engine="fake") as encoder,
        pytest.raises(EngineUnavailable, match="SIGILL"),
    ):
        encoder.encode(pictures)


@pytest.mark.parametrize("modality", ["image", "text"])
def test_the_real_engines_die_in_the_middle_of_a_batch(
    encoders: Encoders, pictures: np.ndarray, notes: list[np.ndarray], modality: str
) -> None:
    library = {"image": "onnxruntime", "text": "llama_cpp"}[modality]
    pytest.importorskip(library, reason=f"needs {library}")
    spec, batch = (encoders.image, pictures) if modality == "image" else (encoders.text, notes)
    said: list[str] = []
    with opened(encoders, spec, said) as encoder:
        first = encoder.encode(batch)
        engine, process = encoder.info()["engine"], encoder.info()["pid"]
        os.kill(process, signal.SIGSTOP)  # so that it is in the middle of the batch for certain
        killer = threading.Timer(0.5, lambda: (os.kill(process, signal.SIGSEGV), os.kill(process, signal.SIGCONT)))
        killer.start()
        second = encoder.encode(batch)
        assert encoder.info()["engine"] == "numpy"
    killer.join()
    assert second == pytest.approx(expected(encoders, spec, batch), abs=1e-5)
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.99
    assert said == [
        f"The engine process {engine} on {spec.file} was ended by signal SIGSEGV; numpy runs {spec.file} instead."
    ]


def test_threads_that_meet_the_same_death_open_numpy_once(
    encoders: Encoders, fake_engine: Fake, pictures: np.ndarray
) -> None:
    fake_engine("if calls == 3: os.abort()")
    said: list[str] = []
    answers: dict[int, np.ndarray] = {}
    with opened(encoders, encoders.image, said) as encoder:
        threads = [
            threading.Thread(target=lambda n=n: answers.update({n: encoder.encode(pictures)}))  # type: ignore[misc]
            for n in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(said) == 1
    assert len(answers) == 3
    for vectors in answers.values():
        np.testing.assert_allclose(vectors, expected(encoders, encoders.image, pictures), atol=1e-6)


def test_closing_ends_a_call_of_another_thread_and_opens_nothing(
    encoders: Encoders, fake_engine: Fake, pictures: np.ndarray
) -> None:
    calls = fake_engine("if calls == 2: time.sleep(60)")
    encoder = opened(encoders, encoders.image, [])
    caught: list[str] = []

    def call() -> None:
        with pytest.raises(EngineUnavailable) as error:
            encoder.encode(pictures)
        caught.append(str(error.value))

    caller = threading.Thread(target=call)
    caller.start()
    while calls.read_text() != "xx":
        time.sleep(0.02)
    encoder.close()
    caller.join()
    assert len(caught) == 1
    with pytest.raises(EngineUnavailable):
        encoder.encode(pictures)
