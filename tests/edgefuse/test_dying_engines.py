"""A native engine that dies while the work goes on costs no answer and no row, only a sentence."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from edgefuse import Classifier
from edgefuse.datasets import open_dataset
from edgefuse.datasets.drawn import write_example
from edgefuse.embeddings.table import open_table
from edgefuse.extraction.running import Settings, extract
from edgefuse.kits.encoders import Encoders
from edgefuse.kits.kit import Kit

Fake = Callable[..., Path]


@pytest.fixture
def samples(tiny_kit: Path) -> list[tuple[Path, str]]:
    """Pictures with their notes."""
    kit = Kit.open(tiny_kit)
    return [(kit.file(one["image"]), kit.file(one["text"]).read_text()) for one in kit.manifest["golden"][:4]]


def end_the_engine() -> None:
    """A death as a native library dies it, in every child process that there is."""
    workers = psutil.Process().children()
    assert workers
    for worker in workers:
        os.kill(worker.pid, signal.SIGSEGV)


@pytest.mark.parametrize("file_format", ["onnx", "gguf"])
def test_every_sample_of_a_list_is_answered(
    tiny_kit: Path, samples: list[tuple[Path, str]], fake_engine: Fake, file_format: str
) -> None:
    with Classifier.open(tiny_kit, engine="numpy", cache=False) as classifier:
        expected = [classifier.predict(*sample).probabilities for sample in samples]
    fake_engine("if calls == 3: os.abort()", file_format)  # its probe, the first sample, the second one
    modality = {"onnx": "image", "gguf": "text"}[file_format]
    with Classifier.open(tiny_kit, cache=False) as classifier:
        answers = [classifier.predict(*sample) for sample in samples]
    for answer, probabilities in zip(answers, expected, strict=True):
        assert answer.probabilities == pytest.approx(probabilities, abs=0.02)
    assert [answer.engines[modality] for answer in answers] == ["fake", "numpy", "numpy", "numpy"]
    file = {"image": "image.onnx", "text": "text.gguf"}[modality]
    sentence = f"The engine process fake on {file} was ended by signal SIGABRT; numpy runs {file} instead."
    assert [answer.notes for answer in answers] == [[], [sentence], [sentence], [sentence]]


def test_real_engines_that_die_between_two_samples_are_replaced(
    tiny_kit: Path, samples: list[tuple[Path, str]]
) -> None:
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python (the `llama` extra)")
    with Classifier.open(tiny_kit, threads=1, cache=False) as classifier:
        first = classifier.predict(*samples[0])
        assert (first.engines, first.notes) == ({"image": "onnxruntime", "text": "llama.cpp"}, [])
        end_the_engine()
        second, third = classifier.predict(*samples[0]), classifier.predict(*samples[1])
    assert second.engines == {"image": "numpy", "text": "numpy"}
    assert second.probabilities == pytest.approx(first.probabilities, abs=0.02)
    assert second.notes == [
        f"The engine process {engine} on {file} was ended by signal SIGSEGV; numpy runs {file} instead."
        for engine, file in (("llama.cpp", "text.gguf"), ("onnxruntime", "image.onnx"))
    ]
    assert third.notes == second.notes
    with Classifier.open(tiny_kit, threads=1, cache=False) as classifier:  # the deaths are remembered
        fourth = classifier.predict(*samples[0])
    assert fourth.engines == {"image": "numpy", "text": "numpy"}
    assert [("died later" in note, note.count(";")) for note in fourth.notes] == [(True, 1)] * 2


def test_a_table_is_finished_by_numpy(tiny_encoders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python (the `llama` extra)")
    write_example(tmp_path / "drawn", count=40)
    dataset, encoders = open_dataset("drawn", tmp_path / "drawn"), Encoders.open(tiny_encoders)
    said: list[str] = []

    def deadly(label: str, items: Iterable[Any], total: int) -> Iterator[Any]:
        for place, item in enumerate(items):
            if label.startswith("encoding") and place == total // 2:
                end_the_engine()
            yield item

    extract(dataset, encoders, tmp_path / "V", settings=Settings(threads=1, notify=said.append), progress=deadly)
    extract(dataset, encoders, tmp_path / "numpy", settings=Settings(engine="numpy", threads=1))
    assert [sentence.split(" on ")[1] for sentence in said] == [
        f"{file} was ended by signal SIGSEGV; numpy runs {file} instead." for file in ("text.gguf", "image.onnx")
    ]
    table, expected = open_table(tmp_path / "V"), open_table(tmp_path / "numpy")
    assert len(table.ids) == 40
    for found, right in ((table.image, expected.image), (table.text, expected.text)):
        a, b = np.asarray(found), np.asarray(right)
        a, b = a - b.mean(axis=0), b - b.mean(axis=0)
        assert ((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min() > 0.98


@pytest.mark.parametrize("signal_name", ["SIGILL", "SIGSEGV", "SIGABRT"])
def test_the_command_answers_with_one_sentence_for_an_engine_that_dies(
    tiny_kit: Path, samples: list[tuple[Path, str]], fake_engine: Fake, cli: Callable[..., Any], signal_name: str
) -> None:
    fake_engine(f"os.kill(os.getpid(), signal.{signal_name})")
    picture, note = samples[0]
    for _ in range(2):
        outcome = cli("classify", picture, "--note", note, "--kit", tiny_kit, "--json")
        assert outcome.code == 0
        answer = json.loads(outcome.out)
        said = [sentence for sentence in answer["notes"] if "image.onnx" in sentence]
        assert len(said) == 1
        assert signal_name in said[0]
        assert answer["engines"]["image"] == "numpy"


@pytest.mark.parametrize("harm", ["cut", "flipped"])
def test_the_command_refuses_a_damaged_gguf_with_a_sentence(
    tiny_kit: Path, samples: list[tuple[Path, str]], cli: Callable[..., Any], tmp_path: Path, harm: str
) -> None:
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python (the `llama` extra)")
    kit = Path(shutil.copytree(tiny_kit, tmp_path / "a.kit"))
    data = bytearray((kit / "text.gguf").read_bytes())
    if harm == "cut":
        del data[-1000:]
    else:
        data[-20_000:] = bytes(byte ^ 0x40 for byte in data[-20_000:])
    (kit / "text.gguf").write_bytes(data)
    refusal = cli("classify", samples[0][0], "--note", "words", "--kit", kit).refusal
    assert refusal.endswith("; copy the kit again." if harm == "cut" else "; copy or export it again.")
    assert "text.gguf" in refusal
