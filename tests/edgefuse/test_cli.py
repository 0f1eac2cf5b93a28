"""The command line as a whole: help, exit codes, one sentence per complaint, quick start-up."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import click
import pytest

from edgefuse.cli import VERBS, main


def edgefuse(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgefuse", *arguments], capture_output=True, text=True, check=False, **options
    )


def test_version() -> None:
    outcome = edgefuse("--version")
    assert outcome.returncode == 0
    assert outcome.stdout.startswith("edgefuse, version ")


def test_help_lists_every_verb_and_imports_none() -> None:
    code = (
        "import sys\nfrom edgefuse.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in sys.modules if name.startswith(('edgefuse.commands', 'numpy', 'PIL', 'onnx'))])"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert outcome.stdout.rstrip().endswith("[]")
    for verb in VERBS:
        assert f"\n  {verb} " in outcome.stdout


def test_the_classifier_is_imported_without_engines() -> None:
    """And the package alone, with its version, without numpy."""
    code = (
        "import sys\nimport edgefuse\nassert edgefuse.__version__\n"
        "print(sorted({'numpy', 'PIL', 'click'} & set(sys.modules)))\n"
        "from edgefuse import Classifier\n"
        "print(sorted({'onnxruntime', 'llama_cpp', 'psutil', 'click'} & set(sys.modules)))\n"
        "print('numpy' in sys.modules)"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert outcome.stdout.splitlines() == ["[]", "[]", "True"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_an_example_in_its_help(verb: str) -> None:
    command = import_module(VERBS[verb].module).command
    assert isinstance(command, click.Command)
    assert command.name == verb
    assert "Example" in (command.epilog or "")
    assert f"edgefuse {verb}" in (command.epilog or "")
    assert command.help


@pytest.mark.parametrize(
    "arguments",
    [
        ["nosuchverb"],
        ["classify", "--nosuchoption"],
        ["classify"],
        ["classify", "x.jpg", "--text", "notes.txt", "--note", "words"],
        ["train", "--epochs", "many"],
    ],
)
def test_a_usage_error_is_one_sentence_with_exit_code_2(arguments: list[str]) -> None:
    outcome = edgefuse(*arguments)
    assert outcome.returncode == 2
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("edgefuse: ")
    assert outcome.stderr.count("\n") == 1
    assert "--help" in outcome.stderr


def test_bad_input_is_one_sentence_with_exit_code_2() -> None:
    outcome = edgefuse("classify", "x.jpg", "--note", "words", "--kit", "/nowhere.kit")
    assert (outcome.returncode, outcome.stdout) == (2, "")
    assert outcome.stderr == "edgefuse: There is no kit at /nowhere.kit; check the path.\n"


def test_a_reader_that_goes_away_is_no_fault() -> None:
    outcome = subprocess.run(
        f"{sys.executable} -m edgefuse completion bash | head -c 1",
        shell=True,
        capture_output=True,
        check=True,
    )
    assert outcome.stderr == b""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_and_completes_verbs(shell: str) -> None:
    outcome = edgefuse("completion", shell)
    assert outcome.returncode == 0
    assert "_EDGEFUSE_COMPLETE" in outcome.stdout
    assert "classify" in main.list_commands(click.Context(main))
