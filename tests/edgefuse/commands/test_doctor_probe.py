"""`edgefuse doctor --probe`: every engine is tried on the kit's golden sample."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse import Classifier
from edgefuse.doctor.page import render
from edgefuse_runtimes import encoder
from edgefuse_runtimes.machine import AvailableMemory
from edgefuse_runtimes.memory_plan import MIB
from edgefuse_runtimes.verdicts import Verdict, records

Cli = Callable[..., Any]
Doctor = Callable[..., dict[str, Any]]
States = Callable[[dict[str, Any]], dict[str, dict[str, str]]]
Fake = Callable[..., Path]


def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user without HOME whom the list of users does not know."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.delenv("HOME", raising=False)

    def unknown(_: int) -> Any:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("pwd.getpwuid", unknown)


def test_a_user_without_a_home_is_answered_and_told(
    cli: Cli, doctor: Doctor, tiny_kit: Path, fake_engine: Fake, monkeypatch: pytest.MonkeyPatch, states: States
) -> None:
    fake_engine()
    no_home(monkeypatch)
    found = doctor("--kit", tiny_kit, "--probe")
    assert (found["machine"]["disk"], found["machine"]["writable"], found["verdicts"]) == (None, False, [])
    assert any(sentence.startswith("This user has no home folder, so engines are") for sentence in found["advice"])
    assert states(found)["image.onnx"]["fake"] == "trusted"
    assert " disk " not in cli("doctor").out
    assert cli("doctor", "--forget").code == 0


def test_every_engine_is_tried_when_asked_and_tells_its_info(doctor: Doctor, tiny_kit: Path, states: States) -> None:
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python (the `llama` extra)")
    found = doctor("--kit", tiny_kit, "--probe")
    assert states(found) == {
        "image.onnx": {"onnxruntime": "trusted", "numpy": "trusted"},
        "text.gguf": {"llama.cpp": "trusted", "numpy": "trusted"},
    }
    for one in found["kit"]["encoders"]:
        for engine in one["engines"]:
            assert set(engine["info"]) >= {"engine", "version", "file", "threads", "precision", "memory"}
            assert engine["info"]["engine"] == engine["engine"]
            assert "pid" not in engine["info"]
            assert Path(engine["info"]["file"]).name == one["file"]
    assert {(one["engine"], one["trusted"]) for one in found["verdicts"]} == {
        ("onnxruntime", True),
        ("llama.cpp", True),
    }
    assert {one["file"] for one in found["verdicts"]} == {
        str((tiny_kit / file).resolve()) for file in ("image.onnx", "text.gguf")
    }

    with Classifier.open(tiny_kit, keep_open=False) as classifier:  # the very verdicts that an answer needs
        before = records()
        assert classifier.predict(tiny_kit / "golden" / "0.png", "Age: 45 years.").engines["image"] == "onnxruntime"
    assert records() == before
    later = doctor("--kit", tiny_kit)
    assert states(later)["text.gguf"] == {"llama.cpp": "trusted", "numpy": "not tried"}
    assert later["kit"]["encoders"][0]["engines"][0]["info"] == found["kit"]["encoders"][0]["engines"][0]["info"]


def test_an_engine_that_died_is_shown_with_its_reason(
    cli: Cli, doctor: Doctor, tiny_kit: Path, fake_engine: Fake, states: States
) -> None:
    fake_engine("os.kill(os.getpid(), signal.SIGILL)")
    outcome = cli("doctor", "--kit", tiny_kit, "--probe")
    assert outcome.code == 0  # numpy answers
    assert "not trusted: The engine process fake on image.onnx was ended by signal SIGILL" in " ".join(
        outcome.out.split()
    )
    found = doctor("--kit", tiny_kit)
    assert states(found)["image.onnx"] == {"fake": "not trusted", "numpy": "not tried"}


def test_an_engine_that_was_tried_before_is_tried_again(
    doctor: Doctor, tiny_kit: Path, fake_engine: Fake, states: States
) -> None:
    fake_engine("os.kill(os.getpid(), signal.SIGILL)")
    assert states(doctor("--kit", tiny_kit, "--probe"))["image.onnx"]["fake"] == "not trusted"
    fake_engine()  # the library was mended, and its version is the same
    assert states(doctor("--kit", tiny_kit))["image.onnx"]["fake"] == "not trusted"
    assert states(doctor("--kit", tiny_kit, "--probe"))["image.onnx"]["fake"] == "trusted"
    assert states(doctor("--kit", tiny_kit))["image.onnx"]["fake"] == "trusted"


def test_a_kit_that_no_engine_can_run_is_a_problem(
    doctor: Doctor, tiny_kit: Path, fake_engine: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_engine("vectors = vectors[:, ::-1].copy()")
    wrong = dataclasses.replace(encoder.ENGINES["onnx"][0], name="numpy", module="")
    monkeypatch.setitem(encoder.ENGINES, "onnx", (encoder.ENGINES["onnx"][0], wrong))
    found = doctor("--kit", tiny_kit, "--probe", code=1)
    (problem,) = found["problems"]
    assert problem.startswith("No engine can run image.onnx here (fake: its vector of the golden sample is wrong")


def test_a_damaged_encoder_is_found_when_engines_are_tried(doctor: Doctor, tiny_kit: Path, tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python (the `llama` extra)")
    kit = Path(shutil.copytree(tiny_kit, tmp_path / "a.kit"))
    file = kit / "text.gguf"
    data = bytearray(file.read_bytes())
    data[-20_000:] = bytes(20_000)
    file.write_bytes(data)
    found = doctor("--kit", kit, "--probe", code=1)
    assert "text.gguf is damaged (sha256 differs)" in found["problems"][0]


@pytest.fixture
def damaged_alternative(kit_of_both: Path, tmp_path: Path) -> Path:
    """A kit of both precisions whose main files are whole, and whose fp32 file is not."""
    kit = Path(shutil.copytree(kit_of_both, tmp_path / "a.kit"))
    file = kit / "image-fp32.onnx"
    data = bytearray(file.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    file.write_bytes(data)
    return kit


def test_a_damaged_alternative_is_no_reason_not_to_answer(doctor: Doctor, damaged_alternative: Path) -> None:
    found = doctor("--kit", damaged_alternative, "--probe")
    assert {one["file"]: bool(one["problem"]) for one in found["kit"]["encoders"]} == {
        "image.onnx": False,
        "text.gguf": False,
        "image-fp32.onnx": True,
    }
    (sentence,) = [sentence for sentence in found["advice"] if "fp32" in sentence]
    assert sentence.startswith("Do without --precision fp32: ")
    assert "image-fp32.onnx is damaged (sha256 differs)" in sentence
    page = " ".join(render(found, unicode=True).split())
    assert page.count("image-fp32.onnx is damaged (sha256 differs)") == 2  # below the file, and as advice


@pytest.mark.parametrize("file", ["image.onnx", "image-fp32.onnx"])
def test_only_a_main_file_that_no_engine_can_run_is_a_problem(
    doctor: Doctor, kit_of_both: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    def fails(engine: Any, path: Path, *_: Any, **__: Any) -> Verdict:
        return Verdict(path.name != file, "it is wrong" if path.name == file else "")

    monkeypatch.setattr("edgefuse.doctor.kit.probe", fails)
    monkeypatch.setattr("edgefuse.doctor.kit.attempt", fails)
    found = doctor("--kit", kit_of_both, "--probe", code=int(file == "image.onnx"))
    sentences = found["problems"] if file == "image.onnx" else found["advice"]
    assert any(f"No engine can run {file} here (" in sentence for sentence in sentences)


def test_what_does_not_fit_is_not_tried_and_the_plan_says_why(
    doctor: Doctor, kit_of_both: Path, monkeypatch: pytest.MonkeyPatch, states: States
) -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxruntime, which does not fit")
    monkeypatch.setattr("edgefuse.doctor.kit.available_memory", lambda: AvailableMemory(58 * MIB, "a limit"))
    tried = []

    def passes(engine: Any, path: Path, *_: Any, **__: Any) -> Verdict:
        tried.append((engine.name, path.name))
        return Verdict(True, "")

    monkeypatch.setattr("edgefuse.doctor.kit.probe", passes)
    monkeypatch.setattr("edgefuse.doctor.kit.attempt", passes)
    found = doctor("--kit", kit_of_both, "--probe")
    assert states(found)["image.onnx"] == {"onnxruntime": "does not fit", "numpy": "trusted"}
    assert states(found)["image-fp32.onnx"] == {"onnxruntime": "does not fit", "numpy": "trusted"}
    assert {name for name, file in tried if file.endswith(".onnx")} == {"numpy"}
    reason = found["kit"]["encoders"][0]["engines"][0]["reason"]
    assert reason.startswith("onnxruntime needs ")
    assert reason.endswith("58 MiB are available (a limit); numpy runs it instead.")


def test_an_encoder_that_fits_no_engine_is_a_problem_of_its_own(
    doctor: Doctor, tiny_kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgefuse.doctor.kit.available_memory", lambda: AvailableMemory(MIB, "a limit"))
    found = doctor("--kit", tiny_kit, "--probe", code=1)
    assert [one["engines"] for one in found["kit"]["encoders"]] == [[], []]
    image, text = found["problems"]
    assert image.startswith("The image encoder of the kit tiny needs ")
    assert text.startswith("The text encoder of the kit tiny needs ")


@pytest.mark.parametrize(("variable", "expected"), [("", "low"), ("normal", "normal")])
def test_engines_are_tried_with_the_memory_setting_of_classify(
    doctor: Doctor, tiny_kit: Path, monkeypatch: pytest.MonkeyPatch, variable: str, expected: str
) -> None:
    if variable:
        monkeypatch.setenv("EDGEFUSE_MEMORY", variable)
    found = doctor("--kit", tiny_kit, "--probe")
    settings = {engine["info"]["memory"] for one in found["kit"]["encoders"] for engine in one["engines"]}
    assert settings == {expected}
