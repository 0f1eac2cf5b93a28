"""`edgefuse kits` as a user meets it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse.home import home
from edgefuse.kits.active import active_kit, find_kit
from edgefuse.kits.kit import Kit
from edgefuse.trust.keys import PublicKey
from edgefuse.trust.pinned import pin


def test_the_chosen_kit_answers_from_then_on(
    cli: Callable[..., Any], tiny_kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_kit.parent)
    outcome = cli("kits", "use", tiny_kit.name)
    assert outcome.code == 0, outcome.err
    assert outcome.out == f"The active kit is now tiny 1 ({tiny_kit.resolve()}).\n"
    monkeypatch.chdir("/")
    picture = tiny_kit / "golden" / "0.png"
    answer = cli("classify", picture, "--note", "A new spot.", "--engine", "numpy", "--json")
    said = json.loads(answer.out)["kit"]
    assert (answer.code, said["name"], said["version"]) == (0, "tiny", "1")


def test_the_environment_names_another_for_once(
    cli: Callable[..., Any], tiny_kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("kits", "use", tiny_kit)
    monkeypatch.setenv("EDGEFUSE_KIT", str(tmp_path / "other.kit"))
    picture = tiny_kit / "golden" / "0.png"
    assert str(tmp_path / "other.kit") in cli("classify", picture, "--note", "A new spot.").refusal


def test_who_has_no_kit_of_his_own_is_told_which_one_is_used(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("kits", "list").err == f"No kit is installed in {home()}/kits.\n"
    monkeypatch.setenv("EDGEFUSE_KIT", "/opt/edgefuse/kits/tiny/1")
    assert cli("kits", "list").err == f"No kit is installed in {home()}/kits; /opt/edgefuse/kits/tiny/1 is used.\n"


def test_a_kit_that_went_away_is_named(cli: Callable[..., Any], tiny_kit: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_kit, tmp_path / "copy.kit"))
    cli("kits", "use", copy)
    shutil.rmtree(copy)
    picture = tiny_kit / "golden" / "0.png"
    assert cli("classify", picture, "--note", "A new spot.").refusal == f"There is no kit at {copy}; check the path."


def test_a_damaged_kit_is_not_chosen(cli: Callable[..., Any], tiny_kit: Path, tmp_path: Path) -> None:
    cli("kits", "use", tiny_kit)
    copy = Path(shutil.copytree(tiny_kit, tmp_path / "copy.kit"))
    data = bytearray((copy / "text.gguf").read_bytes())
    data[-1] ^= 1
    (copy / "text.gguf").write_bytes(data)
    sentence = cli("kits", "use", copy).refusal
    assert sentence == f"The kit's file {copy / 'text.gguf'} is damaged (sha256 differs); copy the kit again."
    assert find_kit() == tiny_kit.resolve()


def test_a_folder_that_is_no_kit_is_not_chosen(cli: Callable[..., Any], tmp_path: Path) -> None:
    assert cli("kits", "use", tmp_path).refusal.startswith(f"{tmp_path} is not a kit (it has no kit.json);")
    assert cli("kits", "use", tmp_path / "no.kit").refusal.startswith(f"There is no kit at {tmp_path / 'no.kit'};")


def test_a_pipe_in_the_place_of_a_kit_is_refused_without_waiting_for_it(
    cli: Callable[..., Any], tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe.kit"
    os.mkfifo(pipe)
    for verb in (["kits", "show"], ["kits", "install"], ["verify"]):
        assert cli(*verb, pipe).refusal.startswith(f"{pipe} is neither a folder nor a file;")


def test_a_check_says_what_would_be_installed_and_writes_nothing(
    cli: Callable[..., Any], bring: Callable[..., Path], fingerprint: str
) -> None:
    kit = bring()
    said = cli("kits", "install", kit, f"--trust={fingerprint}", "--check")
    assert (said.code, said.out) == (0, f"This would be installed: tiny 1 (signed by {fingerprint}).\n")
    facts = json.loads(cli("kits", "install", kit, f"--trust={fingerprint}", "--check", "--json").out)
    assert facts == {"name": "tiny", "version": "1", "digest": Kit.open(kit).digest, "signer": fingerprint}
    assert "is not signed" in cli("kits", "install", bring(seed=None), "--check").refusal
    (kit / "golden" / "0.png").write_bytes(b"x" * (kit / "golden" / "0.png").stat().st_size)
    assert "is damaged" in cli("kits", "install", kit, f"--trust={fingerprint}", "--check").refusal
    assert not home().exists()


def test_another_kit_becomes_the_active_one_where_that_is_asked(
    cli: Callable[..., Any], bring: Callable[..., Path]
) -> None:
    cli("kits", "install", bring(seed=None), "--allow-unsigned")
    other = bring(seed=None, name="other")
    assert "use it with 'edgefuse kits use other'" in cli("kits", "install", other, "--allow-unsigned").out
    facts = json.loads(cli("kits", "install", other, "--allow-unsigned", "--use", "--json").out)
    assert (facts["name"], facts["signer"]) == ("other", None)
    assert find_kit() == find_kit(Path("other")) == find_kit(find_kit().parent)


def test_a_folder_that_nobody_known_signed_is_not_used_where_keys_are_trusted(
    cli: Callable[..., Any], tiny_kit: Path
) -> None:
    pin(PublicKey(bytes(range(32))))
    assert "is not signed" in cli("kits", "use", tiny_kit).refusal
    assert cli("kits", "use", tiny_kit, "--allow-unsigned").code == 2  # no answer of it would tell
    assert active_kit() is None
