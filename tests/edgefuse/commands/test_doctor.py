"""`edgefuse doctor`: whether this machine can answer, with which engines, and what would help."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse import Classifier
from edgefuse.doctor import report as doctor
from edgefuse.kits.active import activate
from edgefuse.platforms import Platform
from edgefuse_runtimes import encoder
from edgefuse_runtimes.machine import AvailableMemory
from edgefuse_runtimes.memory_plan import MIB
from edgefuse_runtimes.verdicts import Verdict, records

Cli = Callable[..., Any]
Fake = Callable[..., Path]

FILES = ("image.onnx", "text.gguf")

PI = Platform("Linux", "aarch64", 64, "little", "glibc 2.36", (3, 11, 2), "CPython")


def report(outcome: Any, code: int = 0) -> dict[str, Any]:
    assert (outcome.code, outcome.err) == (code, ""), outcome
    found = json.loads(outcome.out)
    assert found["can_answer"] is (code == 0)
    assert bool(found["problems"]) is (code == 1)
    return found


def states(found: dict[str, Any]) -> dict[str, dict[str, str]]:
    """From file and engine to state."""
    return {
        one["file"]: {engine["engine"]: engine["state"] for engine in one["engines"]}
        for one in found["kit"]["encoders"]
    }


def test_a_machine_without_a_kit_is_described(cli: Cli) -> None:
    found = report(cli("doctor", "--json"))
    assert found["kit"] is None
    assert any("No kit is chosen" in sentence for sentence in found["advice"])
    assert {one["package"] for one in found["packages"]} == {"numpy", "pillow", "click", "psutil"}
    assert all(one["version"] and not one["problem"] for one in found["packages"])
    assert [one["engine"] for one in found["engines"]] == ["onnxruntime", "llama.cpp", "numpy"]
    machine = found["machine"]
    assert machine["ram_bytes"] >= machine["available_bytes"] > 0
    assert machine["disk"]["free_bytes"] > 0
    assert {"cpu", "features", "physical_cores", "cgroup_limit_bytes", "system", "libc", "python"} <= set(machine)


def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user without HOME whom the list of users does not know."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.delenv("HOME", raising=False)

    def unknown(_: int) -> Any:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("pwd.getpwuid", unknown)


def test_a_user_without_a_home_is_answered_and_told(
    cli: Cli, tiny_kit: Path, fake_engine: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_engine()
    no_home(monkeypatch)
    found = report(cli("doctor", "--kit", tiny_kit, "--probe", "--json"))
    assert (found["machine"]["disk"], found["machine"]["writable"], found["verdicts"]) == (None, False, [])
    assert any(sentence.startswith("This user has no home folder, so engines are") for sentence in found["advice"])
    assert states(found)["image.onnx"]["fake"] == "trusted"
    assert " disk " not in cli("doctor").out
    assert cli("doctor", "--forget").code == 0


def test_a_home_that_cannot_be_entered_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    known = os.stat

    def forbidden(path: Any, *arguments: Any, **settings: Any) -> os.stat_result:
        if str(path).startswith(f"{tmp_path}/"):
            raise PermissionError(13, "Permission denied", str(path))
        return known(path, *arguments, **settings)

    monkeypatch.setattr(os, "stat", forbidden)
    assert report(cli("doctor", "--json"))["machine"]["disk"]["folder"] == str(tmp_path)


def test_the_page_says_the_same_to_people(cli: Cli, tiny_kit: Path) -> None:
    outcome = cli("doctor", "--kit", tiny_kit)
    assert outcome.code == 0
    assert "can answer here" in outcome.out
    for words in ("processor", "features", "memory", "disk", "python", "engines", "onnxruntime", "not tried", "tiny 1"):
        assert words in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 200


def test_nothing_is_tried_unless_asked(cli: Cli, tiny_kit: Path) -> None:
    assert states(report(cli("doctor", "--kit", tiny_kit, "--json"))) == {
        "image.onnx": {"onnxruntime": "not tried", "numpy": "not tried"},
        "text.gguf": {"llama.cpp": "not tried", "numpy": "not tried"},
    }
    assert records() == []


def test_every_engine_is_tried_when_asked_and_tells_its_info(cli: Cli, tiny_kit: Path) -> None:
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python (the `llama` extra)")
    found = report(cli("doctor", "--kit", tiny_kit, "--probe", "--json"))
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

    with Classifier.open(tiny_kit, keep_open=False) as classifier:  # the very verdicts that an answer needs
        before = records()
        assert classifier.predict(tiny_kit / "golden" / "0.png", "Age: 45 years.").engines["image"] == "onnxruntime"
    assert records() == before
    later = report(cli("doctor", "--kit", tiny_kit, "--json"))
    assert states(later)["text.gguf"] == {"llama.cpp": "trusted", "numpy": "not tried"}
    assert later["kit"]["encoders"][0]["engines"][0]["info"] == found["kit"]["encoders"][0]["engines"][0]["info"]


def test_an_engine_that_died_is_shown_with_its_reason(cli: Cli, tiny_kit: Path, fake_engine: Fake) -> None:
    fake_engine("os.kill(os.getpid(), signal.SIGILL)")
    outcome = cli("doctor", "--kit", tiny_kit, "--probe")
    assert outcome.code == 0  # numpy answers
    assert "not trusted: The engine process fake on image.onnx was ended by signal SIGILL" in " ".join(
        outcome.out.split()
    )
    found = report(cli("doctor", "--kit", tiny_kit, "--json"))
    assert states(found)["image.onnx"] == {"fake": "not trusted", "numpy": "not tried"}


def test_an_engine_that_was_tried_before_is_tried_again(cli: Cli, tiny_kit: Path, fake_engine: Fake) -> None:
    fake_engine("os.kill(os.getpid(), signal.SIGILL)")
    assert states(report(cli("doctor", "--kit", tiny_kit, "--probe", "--json")))["image.onnx"]["fake"] == "not trusted"
    fake_engine()  # the library was mended, and its version is the same
    assert states(report(cli("doctor", "--kit", tiny_kit, "--json")))["image.onnx"]["fake"] == "not trusted"
    assert states(report(cli("doctor", "--kit", tiny_kit, "--probe", "--json")))["image.onnx"]["fake"] == "trusted"
    assert states(report(cli("doctor", "--kit", tiny_kit, "--json")))["image.onnx"]["fake"] == "trusted"


def test_a_kit_that_no_engine_can_run_is_a_problem(
    cli: Cli, tiny_kit: Path, fake_engine: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_engine("vectors = vectors[:, ::-1].copy()")
    wrong = dataclasses.replace(encoder.ENGINES["onnx"][0], name="numpy", module="")
    monkeypatch.setitem(encoder.ENGINES, "onnx", (encoder.ENGINES["onnx"][0], wrong))
    found = report(cli("doctor", "--kit", tiny_kit, "--probe", "--json"), 1)
    (problem,) = found["problems"]
    assert problem.startswith("No engine can run image.onnx here (fake: its vector of the golden sample is wrong")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda kit: shutil.rmtree(kit), "There is no kit at"),
        (lambda kit: (kit / "text.gguf").unlink(), "lacks the file text.gguf"),
        (lambda kit: (kit / "kit.json").write_text("{}"), "is damaged"),
        (lambda kit: (kit / "head.npz").write_bytes(b"x" * (kit / "head.npz").stat().st_size), "is damaged"),
    ],
)
def test_a_kit_that_cannot_be_opened_is_a_problem(
    cli: Cli, tiny_kit: Path, tmp_path: Path, harm: Callable[[Path], object], words: str
) -> None:
    kit = Path(shutil.copytree(tiny_kit, tmp_path / "a.kit"))
    activate(kit)
    assert report(cli("doctor", "--json"))["kit"]["folder"] == str(kit)
    harm(kit)
    found = report(cli("doctor", "--json"), 1)
    assert words in found["problems"][0]
    assert any("kits use" in sentence for sentence in found["advice"])


def test_a_damaged_encoder_is_found_when_engines_are_tried(cli: Cli, tiny_kit: Path, tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python (the `llama` extra)")
    kit = Path(shutil.copytree(tiny_kit, tmp_path / "a.kit"))
    file = kit / "text.gguf"
    data = bytearray(file.read_bytes())
    data[-20_000:] = bytes(20_000)
    file.write_bytes(data)
    found = report(cli("doctor", "--kit", kit, "--probe", "--json"), 1)
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


def test_a_damaged_alternative_is_no_reason_not_to_answer(cli: Cli, damaged_alternative: Path) -> None:
    found = report(cli("doctor", "--kit", damaged_alternative, "--probe", "--json"))
    assert {one["file"]: bool(one["problem"]) for one in found["kit"]["encoders"]} == {
        "image.onnx": False,
        "text.gguf": False,
        "image-fp32.onnx": True,
    }
    (sentence,) = [sentence for sentence in found["advice"] if "fp32" in sentence]
    assert sentence.startswith("Do without --precision fp32: ")
    assert "image-fp32.onnx is damaged (sha256 differs)" in sentence
    page = " ".join(cli("doctor", "--kit", damaged_alternative, "--probe").out.split())
    assert page.count("image-fp32.onnx is damaged (sha256 differs)") == 2  # below the file, and as advice


@pytest.mark.parametrize("file", ["image.onnx", "image-fp32.onnx"])
def test_only_a_main_file_that_no_engine_can_run_is_a_problem(
    cli: Cli, kit_of_both: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    def fails(engine: Any, path: Path, *_: Any, **__: Any) -> Verdict:
        return Verdict(path.name != file, "it is wrong" if path.name == file else "")

    monkeypatch.setattr("edgefuse_runtimes.probe.probe", fails)
    monkeypatch.setattr("edgefuse_runtimes.probe.attempt", fails)
    found = report(cli("doctor", "--kit", kit_of_both, "--probe", "--json"), int(file == "image.onnx"))
    sentences = found["problems"] if file == "image.onnx" else found["advice"]
    assert any(f"No engine can run {file} here (" in sentence for sentence in sentences)


def test_what_does_not_fit_is_not_tried_and_the_plan_says_why(
    cli: Cli, kit_of_both: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxruntime, which does not fit")
    monkeypatch.setattr("edgefuse_runtimes.machine.available_memory", lambda: AvailableMemory(58 * MIB, "a limit"))
    tried = []

    def passes(engine: Any, path: Path, *_: Any, **__: Any) -> Verdict:
        tried.append((engine.name, path.name))
        return Verdict(True, "")

    monkeypatch.setattr("edgefuse_runtimes.probe.probe", passes)
    monkeypatch.setattr("edgefuse_runtimes.probe.attempt", passes)
    found = report(cli("doctor", "--kit", kit_of_both, "--probe", "--json"))
    assert states(found)["image.onnx"] == {"onnxruntime": "does not fit", "numpy": "trusted"}
    assert states(found)["image-fp32.onnx"] == {"onnxruntime": "does not fit", "numpy": "trusted"}
    assert {name for name, file in tried if file.endswith(".onnx")} == {"numpy"}
    reason = found["kit"]["encoders"][0]["engines"][0]["reason"]
    assert reason.startswith("onnxruntime needs ")
    assert reason.endswith("58 MiB are available (a limit); numpy runs it instead.")


def test_an_encoder_that_fits_no_engine_is_a_problem_of_its_own(
    cli: Cli, tiny_kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgefuse_runtimes.machine.available_memory", lambda: AvailableMemory(MIB, "a limit"))
    found = report(cli("doctor", "--kit", tiny_kit, "--probe", "--json"), 1)
    assert [one["engines"] for one in found["kit"]["encoders"]] == [[], []]
    image, text = found["problems"]
    assert image.startswith("The image encoder of the kit tiny needs ")
    assert text.startswith("The text encoder of the kit tiny needs ")


@pytest.mark.parametrize(("variable", "expected"), [("", "low"), ("normal", "normal")])
def test_engines_are_tried_with_the_memory_setting_of_classify(
    cli: Cli, tiny_kit: Path, monkeypatch: pytest.MonkeyPatch, variable: str, expected: str
) -> None:
    if variable:
        monkeypatch.setenv("EDGEFUSE_MEMORY", variable)
    found = report(cli("doctor", "--kit", tiny_kit, "--probe", "--json"))
    settings = {engine["info"]["memory"] for one in found["kit"]["encoders"] for engine in one["engines"]}
    assert settings == {expected}


def test_what_is_missing_is_told_with_how_to_install_it(
    cli: Cli, tiny_kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file_format in ("onnx", "gguf"):
        native, numpy = encoder.ENGINES[file_format]
        missing = dataclasses.replace(native, module="no_such_module", package="no-such-package")
        monkeypatch.setitem(encoder.ENGINES, file_format, (missing, numpy))
    found = report(cli("doctor", "--kit", tiny_kit, "--json"))
    assert states(found)["image.onnx"] == {"onnxruntime": "not installed", "numpy": "not tried"}
    assert "onnxruntime runs .onnx files faster than numpy: pip install 'edgefuse[onnxruntime]'" in found["advice"]
    assert any("pip install 'edgefuse[llama]'" in sentence for sentence in found["advice"])
    assert "not installed: pip install 'edgefuse[onnxruntime]'" in cli("doctor").out


def test_a_processor_without_avx2_is_not_sent_after_llama_cpp() -> None:
    engine = {"engine": "llama.cpp", "formats": ["gguf"], "installed": False, "install": "pip install"}
    machine = {"architecture": "x86_64", "features": ["SSE4.2"], "writable": True}
    (sentence,) = doctor._advice({"kit": None, "machine": machine, "engines": [engine]})
    assert sentence.startswith("llama.cpp's usual builds need AVX2")


def test_a_kit_of_both_precisions_on_a_processor_without_products_of_bytes() -> None:
    machine = {"architecture": "aarch64", "features": ["NEON"], "writable": True}
    encoders = [{"format": "onnx", "precision": precision, "problem": ""} for precision in ("int8", "fp32")]
    kit = {"folder": "/my.kit", "encoders": encoders}
    (sentence,) = doctor._advice({"kit": kit, "machine": machine, "engines": []})
    assert "edgefuse bench run /my.kit" in sentence
    assert doctor._advice({"kit": kit, "machine": machine | {"features": ["dot product"]}, "engines": []}) == []


@pytest.mark.parametrize("unicode", [True, False])
def test_every_state_has_a_mark(unicode: bool, tiny_kit: Path) -> None:
    from edgefuse.doctor.page import MARKS, render
    from edgefuse.platforms import this_platform

    found = doctor.examine(this_platform(), tiny_kit)
    engine = found["kit"]["encoders"][0]["engines"][0]
    for state in MARKS:
        page = render(found | {"kit": found["kit"] | {"encoders": [
            found["kit"]["encoders"][0] | {"engines": [engine | {"state": state, "reason": "why " * 60}]}
        ]}}, unicode=unicode)  # fmt: skip
        assert MARKS[state][0 if unicode else 1] in page
        assert unicode or page.isascii()


def test_a_broken_base_package_is_a_problem_and_not_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Any:
        if name == "numpy":
            raise ImportError("libscipy_openblas.so: cannot open shared object file\n\nThis may be because of ...")
        return importlib.import_module(name)

    monkeypatch.setattr(doctor, "import_module", broken)
    found = doctor.examine(PI, None)
    assert found["can_answer"] is False
    assert found["problems"] == [
        "numpy cannot be imported (libscipy_openblas.so: cannot open shared object file); "
        "install it again with 'pip install edgefuse'."
    ]
    assert found["machine"] is None


def test_without_numpy_the_command_still_tells() -> None:
    code = "import sys; sys.modules['numpy'] = None; from edgefuse.cli import run; run()"
    outcome = subprocess.run([sys.executable, "-c", code, "doctor"], capture_output=True, text=True, check=False)
    assert (outcome.returncode, outcome.stderr) == (1, "")
    assert "numpy cannot be imported" in outcome.stdout


def test_on_a_processor_below_numpys_baseline_the_command_still_tells(tmp_path: Path) -> None:
    said = "NumPy was built with baseline optimizations: \n(X86_V2) but your machine doesn't support:\n(X86_V2)."
    (tmp_path / "numpy.py").write_text(f"raise RuntimeError({said!r})")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from edgefuse.cli import run; run()"
    outcome = subprocess.run([sys.executable, "-c", code, "doctor"], capture_output=True, text=True, check=False)
    assert (outcome.returncode, outcome.stderr) == (1, "")
    assert (
        "numpy cannot be imported (NumPy was built with baseline optimizations: (X86_V2) but your machine doesn't "
        "support: (X86_V2));"
    ) in " ".join(outcome.stdout.split())


@pytest.mark.parametrize(
    "changes", [{"system": "Windows", "libc": ""}, {"libc": ""}, {"bits": 32}, {"python": (3, 14, 0)}]
)
def test_where_edgefuse_does_not_run_the_page_says_so(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    monkeypatch.setattr("edgefuse.commands.doctor.this_platform", lambda: dataclasses.replace(PI, **changes))
    (problem,) = report(cli("doctor", "--json"), 1)["problems"]
    outcome = cli("doctor")
    assert outcome.code == 1
    assert "cannot answer here" in outcome.out
    assert problem.split(";")[0] in " ".join(outcome.out.split())


@pytest.fixture
def remembered(cli: Cli, tiny_kit: Path, fake_engine: Fake) -> Path:
    """A kit about which two verdicts are remembered: of `fake` with image.onnx, of llama.cpp with text.gguf."""
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python (the `llama` extra)")
    fake_engine()
    assert cli("doctor", "--kit", tiny_kit, "--probe").code == 0
    assert [record.engine for record in records()] == ["fake", "llama.cpp"]
    return tiny_kit


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (lambda kit: [], []),
        (lambda kit: ["all"], []),
        (lambda kit: ["llama.cpp"], ["fake"]),
        (lambda kit: ["onnxruntime"], ["fake", "llama.cpp"]),
        (lambda kit: [kit], []),
        (lambda kit: [kit / "text.gguf"], ["fake"]),
        (lambda kit: [kit / "golden"], ["fake", "llama.cpp"]),
    ],
)
def test_verdicts_are_forgotten(
    cli: Cli, remembered: Path, words: Callable[[Path], list[str | Path]], left: list[str]
) -> None:
    outcome = cli("doctor", "--forget", *words(remembered))
    assert (outcome.code, outcome.err) == (0, "")
    count = 2 - len(left)
    assert outcome.out.startswith(f"{count} verdict{' is' if count == 1 else 's are'} forgotten; ")
    assert [record.engine for record in records()] == left


def test_verdicts_of_files_that_are_gone_are_marked_and_can_be_forgotten(
    cli: Cli, remembered: Path, tmp_path: Path
) -> None:
    kit = Path(shutil.copytree(remembered, tmp_path / "moved.kit", copy_function=shutil.copyfile))
    assert cli("doctor", "--kit", kit, "--probe").code == 0
    assert cli("doctor", "--forget", "gone").out.startswith("0 verdicts are forgotten")
    shutil.rmtree(kit)
    page = cli("doctor").out
    assert page.count(" (is gone)") == 2
    assert f"{kit / 'image.onnx'} (is gone)" in page
    left = {one["file"]: one["gone"] for one in report(cli("doctor", "--json"))["verdicts"]}
    assert left == {str(folder / name): folder == kit for folder in (remembered, kit) for name in FILES}
    assert cli("doctor", "--forget", "gone").out.startswith("2 verdicts are forgotten")
    assert {record.file for record in records()} == {str(remembered / name) for name in FILES}


def test_what_was_forgotten_can_be_had_as_json(cli: Cli, remembered: Path) -> None:
    outcome = cli("doctor", "--forget", "llama.cpp", "--json")
    (gone,) = json.loads(outcome.out)["forgotten"]
    assert (gone["engine"], gone["file"]) == ("llama.cpp", str((remembered / "text.gguf").resolve()))


def test_a_word_that_means_nothing_is_refused(cli: Cli) -> None:
    assert cli("doctor", "--forget", "llamacpp").refusal.startswith("Nothing is remembered about llamacpp, which is no")
    assert "without --kit" in cli("doctor", "--forget", "all", "--probe").refusal
    assert "--probe needs a kit" in cli("doctor", "--probe").refusal
