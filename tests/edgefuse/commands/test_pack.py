"""`edgefuse pack` as a user meets it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse.kits.kit import Kit


@pytest.fixture
def pack(cli: Callable[..., Any], tiny_encoders: Path, tiny_workshop: Path, tmp_path: Path) -> Callable[..., Any]:
    """Pack the tiny encoders and their head into new.kit, or what is named instead."""

    def run(encoders: Path = tiny_encoders, head: Path = tiny_workshop / "head", *options: str) -> Any:
        return cli("pack", "--encoders", encoders, "--head", head, "--output", tmp_path / "new.kit", *options)

    return run


@pytest.fixture
def head(tiny_workshop: Path, tmp_path: Path) -> Path:
    """A copy of the tiny head that may be changed."""
    return Path(shutil.copytree(tiny_workshop / "head", tmp_path / "H"))


def _contents(kit: Path) -> list[bytes]:
    files = [kit] if kit.is_file() else [path for path in sorted(kit.rglob("*")) if path.is_file()]
    return [path.read_bytes() for path in files]


def test_it_writes_a_kit_and_says_so(pack: Callable[..., Any], tiny_encoders: Path, tiny_workshop: Path) -> None:
    outcome = pack(tiny_encoders, tiny_workshop / "head", "--name", "my kit", "--version", "2.1")
    assert outcome.code == 0, outcome.err
    folder, _, said = outcome.out.partition(": ")
    assert re.fullmatch(r"kit my kit 2\.1, 3 classes, \d\.\d MB, not signed\.\n", said)
    kit = Kit.open(Path(folder))
    kit.verify()
    assert (kit.name, kit.version, kit.classes) == ("my kit", "2.1", ["lumo", "pavi", "ziru"])


def test_a_head_that_was_not_evaluated_is_evaluated_first(
    pack: Callable[..., Any], tiny_encoders: Path, head: Path, tmp_path: Path
) -> None:
    evaluation = json.loads((head / "evaluation.json").read_text())
    (head / "evaluation.json").unlink()
    assert pack(tiny_encoders, head, "--name", "k").code == 0
    again = json.loads((head / "evaluation.json").read_text())
    assert {**again, "cost": None} == {**evaluation, "cost": None}  # which holds times
    assert Kit.open(tmp_path / "new.kit").manifest["evaluation"]["metrics"] == evaluation["metrics"]


def test_a_head_made_from_other_encoders_is_refused(
    pack: Callable[..., Any], tiny_encoders: Path, head: Path, tmp_path: Path
) -> None:
    description = json.loads((head / "head.json").read_text())
    description["encoders"]["text"]["sha256"] = "0" * 64
    (head / "head.json").write_text(json.dumps(description))
    sentence = pack(tiny_encoders, head, "--name", "k").refusal
    assert sentence == (
        f"The head {head} was trained on vectors of another text encoder than the one in {tiny_encoders}; "
        "run 'edgefuse extract' and 'edgefuse train' with these encoders."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["H"]


@pytest.mark.parametrize("content", ["", "[]", "[1, 2]", "{", "7", "null"])
def test_a_damaged_evaluation_is_refused(
    pack: Callable[..., Any], tiny_encoders: Path, head: Path, tmp_path: Path, content: str
) -> None:
    (head / "evaluation.json").write_text(content)
    assert f"run 'edgefuse evaluate {head}'" in pack(tiny_encoders, head, "--name", "k").refusal
    assert [path.name for path in tmp_path.iterdir()] == ["H"]


def test_a_table_that_was_moved_is_asked_for(
    pack: Callable[..., Any], tiny_encoders: Path, head: Path, tmp_path: Path
) -> None:
    (head / "evaluation.json").unlink()
    description = json.loads((head / "head.json").read_text())
    (head / "head.json").write_text(json.dumps(description | {"table_path": str(tmp_path / "gone")}))
    sentence = pack(tiny_encoders, head, "--name", "k").refusal
    assert f"{tmp_path / 'gone'} is not there" in sentence
    assert sentence.endswith(f"say where it is now with 'edgefuse evaluate {head} --table V'.")


def test_folders_that_are_something_else_are_refused(
    pack: Callable[..., Any], tiny_encoders: Path, head: Path, tmp_path: Path
) -> None:
    assert pack(head, head, "--name", "k").refusal.startswith(f"{head} is not an encoders folder")
    (tmp_path / "H" / "evaluation.json").unlink()
    assert pack(tiny_encoders, tiny_encoders, "--name", "k").refusal.startswith(f"{tiny_encoders} is no head")
    assert [path.name for path in tmp_path.iterdir()] == ["H"]


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 half an archive"])
def test_damaged_golden_vectors_are_refused(
    pack: Callable[..., Any], tiny_encoders: Path, head: Path, tmp_path: Path, content: bytes
) -> None:
    encoders = Path(shutil.copytree(tiny_encoders, tmp_path / "E"))
    (encoders / "golden.npz").write_bytes(content)
    sentence = pack(encoders, head, "--name", "k").refusal
    assert sentence.startswith(f"The arrays {encoders / 'golden.npz'} cannot be read (")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["E", "H"]


def test_an_existing_kit_is_left_alone(
    pack: Callable[..., Any], tiny_encoders: Path, head: Path, tmp_path: Path
) -> None:
    (tmp_path / "new.kit").mkdir()
    (tmp_path / "new.kit" / "kit.json").write_text("precious")
    sentence = pack(tiny_encoders, head, "--name", "k").refusal
    assert sentence == f"{tmp_path / 'new.kit'} already exists; choose another output or remove it first."
    assert (tmp_path / "new.kit" / "kit.json").read_text() == "precious"


@pytest.mark.parametrize("form", [(), ("--archive",), ("--thin",), ("--sign",)])
def test_the_same_kit_again_is_nothing_to_do(
    pack: Callable[..., Any],
    tiny_encoders: Path,
    head: Path,
    tmp_path: Path,
    make_key: Callable[[], Path],
    form: tuple[str, ...],
) -> None:
    options = ("--name", "k", *form, *([str(make_key())] if form == ("--sign",) else []))
    made = tmp_path / "new.kit"
    assert pack(tiny_encoders, head, *options).code == 0
    before = _contents(made)
    (tmp_path / ".new.kit.part").mkdir()  # what a run leaves that was killed right after its last step
    (tmp_path / ".new.kit.part" / "lock").touch()

    outcome = pack(tiny_encoders, head, *options)

    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err == f"{made} is made already, of these encoders and this head; nothing to do.\n"
    assert _contents(made) == before
    assert list(tmp_path.glob(".*")) == []
    for others, words in (
        (("--name", "other"), "another kit (k 1)"),
        (("--version", "2"), "another kit (k 1)"),
        (("--purpose", "another"), "another kit (k 1)"),
        (("--archive",) if form != ("--archive",) else ("--thin",), "this kit with other options"),
    ):
        assert f"{made} already exists and is {words}" in pack(tiny_encoders, head, *options, *others).refusal
    assert _contents(made) == before


def test_a_kit_that_was_damaged_since_is_not_called_made(
    pack: Callable[..., Any], tiny_encoders: Path, head: Path, tmp_path: Path
) -> None:
    assert pack(tiny_encoders, head, "--name", "k").code == 0
    weights = tmp_path / "new.kit" / "text.gguf"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert "this kit and was damaged since" in pack(tiny_encoders, head, "--name", "k").refusal
    weights.unlink()
    assert "or lacks files" in pack(tiny_encoders, head, "--name", "k").refusal


def test_an_output_that_cannot_be_written(
    pack: Callable[..., Any], tiny_encoders: Path, head: Path, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    for output in (head / "head.json" / "new.kit", Path("/proc/new.kit")):
        sentence = pack(tiny_encoders, head, "--name", "k", "--output", str(output)).refusal
        assert str(output.parent) in sentence
        assert "check the path, its permissions and the disk" in sentence
    assert sorted(tmp_path.rglob("*")) == before


def test_a_signed_kit_is_good_to_ssh_keygen(
    pack: Callable[..., Any],
    tiny_encoders: Path,
    tiny_workshop: Path,
    tmp_path: Path,
    make_key: Callable[..., Path],
    ssh_keygen: Callable[..., Any],
) -> None:
    key = make_key()
    outcome = pack(tiny_encoders, tiny_workshop / "head", "--name", "k", "--sign", str(key))
    fingerprint = ssh_keygen("-l", "-f", key).stdout.decode().split()[1]
    assert outcome.out.endswith(f"signed by {fingerprint}.\n")
    (tmp_path / "signers").write_text(f"us {key.with_name('key.pub').read_text()}")
    signature = tmp_path / "new.kit" / "kit.json.sig"
    asked = ("-Y", "verify", "-f", tmp_path / "signers", "-I", "us", "-n", "edgefuse-kit", "-s", signature)
    manifest = (tmp_path / "new.kit" / "kit.json").read_bytes()
    assert ssh_keygen(*asked, stdin=manifest).returncode == 0
    assert ssh_keygen(*asked, stdin=manifest + b" ").returncode != 0
    Kit.open(tmp_path / "new.kit").verify()


def test_the_archive_of_a_kit_has_the_same_bytes_each_time_and_tar_reads_it(
    pack: Callable[..., Any], tiny_encoders: Path, tiny_workshop: Path, tmp_path: Path
) -> None:
    files = []
    for name in ("a.kit", "b.kit"):
        path = tmp_path / name
        given = ("--name", "k", "--archive", "--output", str(path))
        assert pack(tiny_encoders, tiny_workshop / "head", *given).code == 0
        files.append(path.read_bytes())
    assert files[0] == files[1]
    assert pack(tiny_encoders, tiny_workshop / "head", "--name", "k").code == 0
    listed = subprocess.run(["tar", "tf", tmp_path / "a.kit"], capture_output=True, text=True, check=True)
    names = listed.stdout.split()
    assert names == ["kit.json", *sorted(Kit.open(tmp_path / "new.kit").files)]
    subprocess.run(["tar", "xf", tmp_path / "a.kit", "-C", tmp_path, "kit.json", "text.gguf"], check=True)
    for name in ("kit.json", "text.gguf"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "new.kit" / name).read_bytes()


def test_a_thin_kit_is_the_same_kit_without_its_encoders(
    pack: Callable[..., Any], tiny_encoders: Path, tiny_workshop: Path, tmp_path: Path
) -> None:
    pack(tiny_encoders, tiny_workshop / "head", "--name", "k")
    pack(tiny_encoders, tiny_workshop / "head", "--name", "k", "--thin", "--output", str(tmp_path / "thin.kit"))
    whole, thin = tmp_path / "new.kit", tmp_path / "thin.kit"
    assert (thin / "kit.json").read_bytes() == (whole / "kit.json").read_bytes()
    assert sorted(file.name for file in thin.iterdir()) == ["head.npz", "kit.json"]


def test_what_a_person_knows_stands_in_the_manifest(
    pack: Callable[..., Any], tiny_encoders: Path, tiny_workshop: Path, tmp_path: Path
) -> None:
    told = ["--purpose", "sorting drawn cards", "--intended-for", "tests", "--limit", "no cards", "--limit", "no hands"]
    assert pack(tiny_encoders, tiny_workshop / "head", "--name", "k", *told, "--budget-mib", "300").code == 0
    manifest = Kit.open(tmp_path / "new.kit").manifest
    assert manifest["card"] == {
        "purpose": "sorting drawn cards",
        "intended_for": "tests",
        "limits": ["no cards", "no hands"],
    }
    assert manifest["budget"] == {"ram_bytes": 300 << 20}


def test_a_table_names_the_classes_in_peoples_languages(
    pack: Callable[..., Any], tiny_encoders: Path, tiny_workshop: Path, tmp_path: Path
) -> None:
    table, words = tmp_path / "names.csv", ("--name", "k", "--class-names", str(tmp_path / "names.csv"))
    for content, sentence in (
        ("class,fr\nnv,grain\n", "it names a class 'nv' in fr, and has none; repair the table of --class-names"),
        ("class\nlumo\n", "names no class; give it the column 'class' and one for each language"),
        ("name,fr\nlumo,a\n", "class"),
    ):
        table.write_text(content)
        assert sentence in pack(tiny_encoders, tiny_workshop / "head", *words).refusal
    table.write_text("class,fr,sw\nlumo,tache lisse,\npavi,tache ancienne,doa\n", encoding="utf-8")
    assert pack(tiny_encoders, tiny_workshop / "head", *words).code == 0
    kit = Kit.open(tmp_path / "new.kit")
    assert kit.class_names == {"fr": {"lumo": "tache lisse", "pavi": "tache ancienne"}, "sw": {"pavi": "doa"}}


@pytest.mark.parametrize("name", ["", "two\nlines", "\x1b[2J", "x" * 101])
def test_a_name_that_is_none_is_refused(
    pack: Callable[..., Any], tiny_encoders: Path, head: Path, tmp_path: Path, name: str
) -> None:
    sentence = pack(tiny_encoders, head, "--name", name).refusal
    assert sentence.startswith("The kit's name ")
    assert [path.name for path in tmp_path.iterdir()] == ["H"]
