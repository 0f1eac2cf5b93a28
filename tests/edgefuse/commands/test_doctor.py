"""`edgefuse doctor`: whether this machine can answer, what is missing, and what would help."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse.kits.active import activate
from edgefuse.platforms import Platform
from edgefuse_runtimes import encoder
from edgefuse_runtimes.verdicts import records

PI = Platform("Linux", "aarch64", 64, "little", "glibc 2.36", (3, 11, 2), "CPython")

Cli = Callable[..., Any]
Doctor = Callable[..., dict[str, Any]]
States = Callable[[dict[str, Any]], dict[str, dict[str, str]]]


def test_a_machine_without_a_kit_is_described(doctor: Doctor) -> None:
    found = doctor()
    assert found["kit"] is None
    assert any("No kit is chosen" in sentence for sentence in found["advice"])
    assert {one["package"] for one in found["packages"]} == {"numpy", "pillow", "click", "psutil"}
    assert all(one["version"] and not one["problem"] for one in found["packages"])
    assert [one["engine"] for one in found["engines"]] == ["onnxruntime", "llama.cpp", "numpy"]
    machine = found["machine"]
    assert machine["ram_bytes"] >= machine["available_bytes"] > 0
    assert machine["disk"]["free_bytes"] > 0
    assert {"cpu", "features", "physical_cores", "cgroup_limit_bytes", "system", "libc", "python"} <= set(machine)


def test_a_home_that_cannot_be_entered_is_told(doctor: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    known = os.stat

    def forbidden(path: Any, *arguments: Any, **settings: Any) -> os.stat_result:
        if str(path).startswith(f"{tmp_path}/"):
            raise PermissionError(13, "Permission denied", str(path))
        return known(path, *arguments, **settings)

    monkeypatch.setattr(os, "stat", forbidden)
    assert doctor()["machine"]["disk"]["folder"] == str(tmp_path)


def test_the_page_says_the_same_to_people(cli: Cli, tiny_kit: Path) -> None:
    outcome = cli("doctor", "--kit", tiny_kit)
    assert outcome.code == 0
    assert "can answer here" in outcome.out
    for words in ("processor", "features", "memory", "disk", "python", "engines", "onnxruntime", "not tried", "tiny 1"):
        assert words in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 200


def test_nothing_is_tried_unless_asked(doctor: Doctor, tiny_kit: Path, states: States) -> None:
    assert states(doctor("--kit", tiny_kit)) == {
        "image.onnx": {"onnxruntime": "not tried", "numpy": "not tried"},
        "text.gguf": {"llama.cpp": "not tried", "numpy": "not tried"},
    }
    assert records() == []


def test_an_installed_kit_is_named_by_its_name(cli: Cli, doctor: Doctor, tiny_kit: Path) -> None:
    assert cli("kits", "install", tiny_kit, "--allow-unsigned").code == 0
    assert doctor("--kit", "tiny")["kit"] == doctor()["kit"]
    assert "There is no kit at other" in doctor("--kit", "other", code=1)["problems"][0]


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
    doctor: Doctor, tiny_kit: Path, tmp_path: Path, harm: Callable[[Path], object], words: str
) -> None:
    kit = Path(shutil.copytree(tiny_kit, tmp_path / "a.kit"))
    activate(kit)
    assert doctor()["kit"]["folder"] == str(kit)
    harm(kit)
    found = doctor(code=1)
    assert words in found["problems"][0]
    assert any("kits use" in sentence for sentence in found["advice"])


def test_what_is_missing_is_told_with_how_to_install_it(
    cli: Cli, doctor: Doctor, tiny_kit: Path, monkeypatch: pytest.MonkeyPatch, states: States
) -> None:
    for file_format in ("onnx", "gguf"):
        native, numpy = encoder.ENGINES[file_format]
        missing = dataclasses.replace(native, module="no_such_module", package="no-such-package")
        monkeypatch.setitem(encoder.ENGINES, file_format, (missing, numpy))
    found = doctor("--kit", tiny_kit)
    assert states(found)["image.onnx"] == {"onnxruntime": "not installed", "numpy": "not tried"}
    assert "onnxruntime runs .onnx files faster than numpy: pip install 'edgefuse[onnxruntime]'" in found["advice"]
    assert any("pip install 'edgefuse[llama]'" in sentence for sentence in found["advice"])
    assert "not installed: pip install 'edgefuse[onnxruntime]'" in cli("doctor").out


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
    cli: Cli, doctor: Doctor, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    monkeypatch.setattr("edgefuse.commands.doctor.this_platform", lambda: dataclasses.replace(PI, **changes))
    (problem,) = doctor(code=1)["problems"]
    outcome = cli("doctor")
    assert outcome.code == 1
    assert "cannot answer here" in outcome.out
    assert problem.split(";")[0] in " ".join(outcome.out.split())


def test_a_word_that_means_nothing_is_refused(cli: Cli) -> None:
    assert cli("doctor", "--forget", "llamacpp").refusal.startswith("Nothing is remembered about llamacpp, which is no")
    assert "without --kit" in cli("doctor", "--forget", "all", "--probe").refusal
    assert "--probe needs a kit" in cli("doctor", "--probe").refusal
