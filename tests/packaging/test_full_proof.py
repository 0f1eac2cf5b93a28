"""Each part of the proof is written down with its commit, whether it held or not; other parts keep their figures."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edgefuse_packaging import full_proof
from edgefuse_packaging.builds import build_twice
from edgefuse_packaging.counted_tests import ROOT, Counted
from edgefuse_packaging.full_proof import Found
from edgefuse_runtimes.errors import QualityGate


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "clone"
    folder.mkdir()
    (folder / "code.py").write_text("")
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for words in (("init", "--quiet"), ("add", "."), (*who, "commit", "--quiet", "-m", "first")):
        subprocess.run(["git", *words], cwd=folder, check=True)
    monkeypatch.setattr(full_proof, "ROOT", folder)
    monkeypatch.setattr(full_proof, "OUTPUT", folder / "proof.json")
    return folder


@pytest.fixture
def prove(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run the program on parts that find what is given."""

    def run(*names: str, **found: Found) -> Result:
        parts: dict[str, Callable[[Path], Found]] = {
            name: lambda _, result=result: result  # type: ignore[misc]
            for name, result in found.items()
        }
        monkeypatch.setattr(full_proof, "PARTS", parts)
        monkeypatch.setattr(full_proof.main.params[1], "type", full_proof.click.Choice(list(parts)))
        words = [word for name in names for word in ("--part", name)]
        return CliRunner().invoke(full_proof.main, ["a.kit", *words, "--output", str(repository / "proof.json")])

    return run


def written(repository: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((repository / "proof.json").read_bytes())
    return told["parts"]  # type: ignore[no-any-return]


def test_a_part_that_is_run_again_leaves_the_others(prove: Callable[..., Result], repository: Path) -> None:
    right, wrong = Found(True, {"kills": 1}), Found(False, {"kills": 2})
    assert prove(kills=right, mutants=right).exit_code == 0
    again = prove("mutants", kills=right, mutants=wrong)

    assert again.exit_code == QualityGate.exit_code
    assert "Not proven: mutants" in again.stderr
    told = written(repository)
    assert [(name, part["right"], part["figures"]) for name, part in told.items()] == [
        ("kills", True, {"kills": 1}),
        ("mutants", False, {"kills": 2}),
    ]
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, text=True, check=True)
    assert {part["commit"] for part in told.values()} == {head.stdout.strip()}


def test_a_change_that_is_not_committed_has_no_proof(prove: Callable[..., Result], repository: Path) -> None:
    (repository / "code.py").write_text("changed = True")
    done = prove(kills=Found(True, {}))
    assert done.exit_code == 2
    assert "these files differ from it: M code.py" in done.stderr
    assert not (repository / "proof.json").exists()


@pytest.mark.parametrize("name", ["batches", "installs", "exports", "full-disks", "mutants"])
def test_a_part_sets_every_count_that_its_tests_take(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, int] = {}
    files: list[Path] = []

    def note(paths: tuple[str, ...], counts: dict[str, int]) -> Counted:
        asked.update(counts)
        for path in (ROOT / path for path in paths):
            files.extend(path.rglob("*.py") if path.is_dir() else [path])
        return Counted(1, (), (), {})

    monkeypatch.setattr(full_proof, "run_tests", note)
    assert full_proof.PARTS[name](Path("a.kit")).right
    taken = {
        count for file in files for count in re.findall(r'environ\.get\("(EDGEFUSE_\w+)", "\d+"', file.read_text())
    }
    assert taken - {"EDGEFUSE_SEED"} == set(asked)


def test_builds_that_differ_are_named(tiny_kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = iter([{"a.whl": "1", "b.run": "2"}, {"a.whl": "1", "b.run": "3"}])
    monkeypatch.setattr("edgefuse_packaging.builds._build_all", lambda kit, folder: next(turns))
    with pytest.raises(QualityGate, match=r"Built twice, these files differ: b\.run"):
        build_twice(tiny_kit)
