"""Pages say nothing that the code does not do."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from edgefuse import cli
from edgefuse.datasets.choice import Choice
from edgefuse.splits.grouped import PARTS
from edgefuse.study import config
from edgefuse_packaging import wheelhouse
from edgefuse_runtimes import errors
from edgefuse_runtimes.encoder import ENGINE_NAMES, ENGINES
from edgefuse_runtimes.probe import MIN_COSINE
from edgefuse_runtimes.spec import EncoderSpec, Preprocess, Tokenization

Blocks = Callable[[Path, str], list[str]]

OF_CLUSTERS = ("dask_jobqueue", "dask_kubernetes")
"""Libraries of the places that start workers, which no test environment has."""


def test_no_place_is_left_to_fill(page: Path) -> None:
    assert "FILL" not in page.read_text(encoding="utf-8")


def test_a_merge_left_nothing_behind(page: Path) -> None:
    assert not re.search(r"^(<{7}|>{7}) ", page.read_text(encoding="utf-8"), re.MULTILINE)


def test_links_between_files_resolve(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            name, _, anchor = target.partition("#")
            file = (page.parent / name) if name else page
            assert file.exists(), target
            assert not anchor or anchor in _anchors(file), target


def test_commands_on_pages_exist(page: Path, code_blocks: Blocks) -> None:
    for block in code_blocks(page, "sh"):
        for words in _commands(block):
            _check(words)


def test_python_on_pages_imports_what_exists(page: Path, code_blocks: Blocks) -> None:
    for block in code_blocks(page, "python"):
        if block.startswith("Classifier."):
            continue  # a signature, checked below
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] not in OF_CLUSTERS:
                module = importlib.import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names)


def test_make_targets_on_pages_exist(page: Path, root: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (root / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([\w-]+)`|^make ([\w-]+)$", page.read_text(), re.MULTILINE)) <= {
        pair for name in targets for pair in ((name, ""), ("", name))
    }


def test_extras_on_pages_exist(page: Path, root: Path) -> None:
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {name for group in re.findall(r"edgefuse\[([\w,-]+)\]", page.read_text()) for name in group.split(",")}
    assert named <= set(extras)


def test_set_up_is_two_commands(root: Path, code_blocks: Blocks) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert "not a medical device" in readme
    assert code_blocks(root / "README.md", "sh")[0].splitlines() == ["make run", "make test"]


def test_the_wheelhouse_takes_the_options_on_the_page(root: Path, code_blocks: Blocks) -> None:
    page = root / "docs/how-to/install-offline.md"
    calls = re.findall(r"edgefuse_packaging\.wheelhouse (.*)", "".join(code_blocks(page, "sh")))
    assert calls
    for call in calls:
        wheelhouse.main.make_context("wheelhouse", shlex.split(call))


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_is_in_the_reference_with_an_example(verb: str, site: Path) -> None:
    reference = (site / "reference" / "command-line.html").read_text(encoding="utf-8")
    assert f'id="{verb}"' in reference
    for path, command in _walk(verb):
        assert "Example" in (command.epilog or ""), path
        for words in _commands(_examples(command)):
            _check(words)


def test_every_engine_is_on_its_pages(root: Path) -> None:
    how_to = (root / "docs/how-to/choose-an-engine.md").read_text()
    assert all(f"`{name}`" in how_to for name in ENGINE_NAMES)
    explanation = (root / "docs/explanation/engines.md").read_text()
    assert all(engine.name in explanation for engines in ENGINES.values() for engine in engines)
    assert all(f"| `{precision}` | {limit} |" in explanation for precision, limit in MIN_COSINE.items())


@pytest.mark.parametrize("kind", [EncoderSpec, Preprocess, Tokenization])
def test_every_field_of_an_encoder_is_described(kind: type, root: Path) -> None:
    page = (root / "docs/reference/encoders-folder.md").read_text()
    assert [field.name for field in dataclasses.fields(kind) if f"`{field.name}`" not in page] == []


def test_every_field_of_the_answer_is_described(root: Path) -> None:
    prediction = importlib.import_module("edgefuse.answering.prediction").Prediction
    page = (root / "docs/reference/answer.md").read_text()
    assert [field.name for field in dataclasses.fields(prediction) if f"`{field.name}" not in page] == []


def test_classifier_has_the_documented_signature(root: Path, code_blocks: Blocks) -> None:
    classifier = importlib.import_module("edgefuse").Classifier
    signatures = [block for block in code_blocks(root / "docs/reference/python.md", "python") if block.startswith("Cl")]
    assert len(signatures) == 2
    for line in signatures:
        name, arguments = re.findall(r"^Classifier\.(\w+)\((.*)\)$", line, re.MULTILINE)[0]
        real = inspect.signature(getattr(classifier, name)).parameters
        assert re.findall(r"(\w+)(?:=[^,]+)?(?:,|$)", arguments) == [known for known in real if known != "self"]


def test_every_exit_code_is_described(root: Path) -> None:
    page = (root / "docs/reference/exit-codes.md").read_text()
    rows = {line.split("|")[1].strip(): line for line in page.splitlines() if re.match(r"\| \d", line)}
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.EdgefuseError)]
    for kind in kinds:
        assert f"`{kind.__name__}`" in rows[str(kind.exit_code)]
    assert {"0", "130"} < set(rows)


def test_every_environment_variable_is_described(root: Path) -> None:
    page = (root / "docs/reference/environment.md").read_text()
    source = "".join(
        file.read_text()
        for name in ("edgefuse", "runtimes", "export", "bench")
        for file in root.glob(f"{name}/**/*.py")
    )
    shell = "".join(file.read_text() for file in root.glob("packaging/**/*.sh"))
    used = set(re.findall(r"[\"'](EDGEFUSE_[A-Z_]+|XDG_[A-Z_]+)[\"']", source)) - {"_EDGEFUSE_COMPLETE"}
    used |= set(re.findall(r"\$\{?(EDGEFUSE_[A-Z_]+)", shell))
    assert used == set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))


def test_parts_of_the_split_are_named(root: Path) -> None:
    page = (root / "docs/reference/embedding-table.md").read_text()
    assert all(f"`{part}`" in page for part in PARTS)


def _anchors(file: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def _commands(block: str) -> Iterator[list[str]]:
    """The words of every call of edgefuse in a block of shell lines, the program's name left out."""
    for line in block.replace("\\\n", " ").splitlines():
        for call in re.findall(r"(?:^|[\s/(])edgefuse (.*?)(?=$|\)| >| && |[;|] )", line):
            yield shlex.split(call)


def _check(words: list[str]) -> None:
    """Fail unless the verb exists and takes these options and as many arguments."""
    context = click.Context(cli.main, info_name="edgefuse")
    if words and words[0] in ("--help", "--version"):
        return
    command: click.Command = cli.main
    while isinstance(command, click.Group):
        name, *words = words
        inner = command.get_command(context, name)
        assert inner is not None, name
        command = inner
    try:
        command.make_context(command.name, list(words), parent=context)
    except click.ClickException as error:
        pytest.fail(f"edgefuse {command.name} {' '.join(words)}: {error.format_message()}")


def _walk(verb: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(cli.main, info_name="edgefuse")
    command = cli.main.get_command(context, verb)
    assert command is not None
    yield verb, command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield f"{verb} {name}", inner


def _examples(command: click.Command) -> str:
    lines = inspect.cleandoc((command.epilog or "").replace("\b", "")).splitlines()
    return "\n".join(re.sub(r"^\s*Examples?:\s*", "", line) for line in lines)


def test_every_key_of_a_study_stands_on_its_page(root: Path) -> None:
    text = (root / "docs" / "how-to" / "run-a-study.md").read_text(encoding="utf-8")
    parts = (Choice, config.Training, config.Sweep)
    keys = {field.name for part in parts for field in dataclasses.fields(part)} - {"settings"}
    for key in keys | config.KEYS | config.SETTINGS.keys() | config.OPTIMIZER.keys():
        assert re.search(rf"\b{key}\b", text), key
